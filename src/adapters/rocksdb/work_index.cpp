#include "adapters/rocksdb/work_index.h"

#include <algorithm>

#include "domain/check.h"

namespace penstock::rocksdb_store {
namespace {

/// Tenants at their share that one claim passes over at most; the others have their turn with the
/// next claim.
constexpr std::size_t kMaxRefusals = 1'024;

std::size_t stage_index(domain::Status status) {
  const auto stage = domain::stage_of(status);
  PENSTOCK_CHECK(stage.has_value(), "a terminal order is in no queue");
  return static_cast<std::size_t>(*stage);
}

}  // namespace

void WorkIndex::set_weight(std::uint32_t tenant, std::int64_t weight) {
  for (domain::FairQueue& queue : queues_) {
    queue.set_weight(tenant, static_cast<std::uint32_t>(weight));
  }
}

void WorkIndex::set_contract(std::uint32_t tenant, std::int64_t weight) {
  rooms_.set_standing(share_of(tenant), domain::Standing::own_contract);
  for (domain::FairQueue& queue : queues_) {
    queue.set_standing(tenant, domain::Standing::own_contract);
  }
  set_weight(tenant, weight);
}

domain::OrderShare& WorkIndex::share_of(std::uint32_t tenant) {
  if (tenant >= shares_.size()) shares_.resize(tenant + 1);
  return shares_[tenant];
}

bool WorkIndex::may_accept(std::optional<std::uint32_t> tenant) const {
  const bool is_known = tenant && *tenant < shares_.size();
  return rooms_.may_accept(is_known ? shares_[*tenant] : domain::OrderShare{});
}

/// An open dead letter is not ready: it waits for an operator or the end of its hold.
void WorkIndex::count(const ActiveOrder& order, Direction direction) {
  Count& count = counts_[stage_index(order.status)];
  const auto step = [direction](std::size_t& number) {
    number += direction == Direction::add ? 1 : static_cast<std::size_t>(-1);
  };
  if (order.open_dead_letter) step(count.dead_letters);
  if (order.owes_refund) step(owed_refunds_);
  if (order.leased) {
    step(count.leased);
  } else if (!order.open_dead_letter) {
    step(count.ready);
  }
}

ActiveOrder& WorkIndex::put(const domain::Order& order, std::uint32_t tenant, domain::Instant now) {
  ActiveOrder* active = orders_.find(order.id);
  if (active != nullptr) {
    count(*active, Direction::take);
    rooms_.remove(share_of(active->tenant), marks_of(*active));
  } else {
    active = &orders_.insert(order.id);
  }
  active->version = order.version.number;
  active->tenant = tenant;
  active->status = order.status;
  active->leased = false;
  active->open_dead_letter = domain::is_open_dead_letter(order);
  active->listed_dead_letter =
      order.dead_letter && order.dead_letter->state != domain::DeadLetterState::discarded;
  active->owes_refund = domain::owes_refund(order);
  active->holds_stock = order.holds_stock;
  ++active->ticket;
  count(*active, Direction::add);
  rooms_.add(share_of(tenant), marks_of(*active));
  domain::FairQueue& queue = queues_[stage_index(order.status)];
  const domain::FairQueue::Entry entry{
      .order = order.id, .version = active->ticket, .tenant = tenant, .queued_at = now};
  if (order.due > now) {
    queue.push_at(tenant, entry, order.due);
  } else {
    queue.push(tenant, entry);
  }
  return *active;
}

void WorkIndex::erase(const domain::OrderId& order) {
  if (const ActiveOrder* active = orders_.find(order)) {
    count(*active, Direction::take);
    rooms_.remove(share_of(active->tenant), marks_of(*active));
    orders_.erase(order);
  }
}

void WorkIndex::hold(ActiveOrder& order) {
  count(order, Direction::take);
  order.leased = true;
  count(order, Direction::add);
}

std::vector<const ActiveOrder*> WorkIndex::claim(domain::Stage stage, std::size_t limit,
                                                 ports::ClaimPlaces* places,
                                                 const TenantTable& tenants, domain::Instant now) {
  domain::FairQueue& queue = queues_.at(static_cast<std::size_t>(stage));
  std::vector<const ActiveOrder*> claimed;
  std::size_t refusals = 0;
  while (claimed.size() < limit && refusals < kMaxRefusals) {
    const auto tenant = queue.next_tenant(now);
    if (!tenant) break;
    const TenantRow& row = tenants.row(*tenant);
    if (places != nullptr && !places->take(row.id, row.standing())) {
      refusals += 1;
      const bool is_grouped = row.standing() == domain::Standing::grouped;
      is_grouped && places->is_group_full() ? queue.pass_over_group() : queue.pass_over();
      continue;
    }
    const auto entry = queue.pop(now);
    ActiveOrder* order = orders_.find(entry->order);
    const bool counts = order != nullptr && order->ticket == entry->version && !order->leased &&
                        domain::stage_of(order->status) == stage;
    if (!counts) {
      if (places != nullptr) places->undo();
      continue;
    }
    hold(*order);
    claimed.push_back(order);
  }
  queue.end_pass();
  return claimed;
}

const ActiveOrder* WorkIndex::lease(const domain::OrderId& order) {
  ActiveOrder* active = orders_.find(order);
  if (active == nullptr || active->leased) return nullptr;
  hold(*active);
  return active;
}

void WorkIndex::release(const domain::OrderId& order, domain::Instant due) {
  ActiveOrder* active = orders_.find(order);
  if (active == nullptr || !active->leased) return;
  count(*active, Direction::take);
  active->leased = false;
  // A new ticket, since the entry of a lease out of turn may still be in the queue.
  ++active->ticket;
  count(*active, Direction::add);
  queues_[stage_index(active->status)].push_at(
      active->tenant,
      {.order = order, .version = active->ticket, .tenant = active->tenant, .queued_at = due}, due);
}

void WorkIndex::fill(ports::StoreDepth& depth, const TenantTable& tenants) const {
  depth.active = orders_.size();
  depth.owed_refunds = owed_refunds_;
  depth.open_dead_letters = 0;
  for (std::size_t stage = 0; stage < counts_.size(); ++stage) {
    const Count& count = counts_[stage];
    depth.stages[stage] = {.ready = count.ready,
                           .leased = count.leased,
                           .dead_letters = count.dead_letters,
                           .oldest = queues_[stage].oldest()};
    depth.open_dead_letters += count.dead_letters;
  }
  if (!rooms_.may_be_at_bound()) return;
  depth.is_group_at_bound = rooms_.is_group_at_bound();
  for (std::uint32_t tenant = 0; tenant < shares_.size(); ++tenant) {
    if (rooms_.is_at_bound(shares_[tenant])) depth.at_bound.push_back(tenants.row(tenant).id);
  }
}

std::optional<domain::Instant> WorkIndex::next_due() const {
  std::optional<domain::Instant> next;
  for (const domain::FairQueue& queue : queues_) {
    const auto due = queue.next_due();
    if (due && (!next || *due < *next)) next = due;
  }
  return next;
}

std::optional<domain::Month> WorkIndex::oldest_month() const {
  std::optional<domain::OrderId> oldest;
  orders_.for_each([&oldest](const ActiveOrder& order) {
    if (!oldest || order.id < *oldest) oldest = order.id;
  });
  if (!oldest) return std::nullopt;
  return oldest->month();
}

}  // namespace penstock::rocksdb_store
