#include "adapters/memory/work_index.h"

#include "domain/check.h"

namespace penstock::memory_store {
namespace {

/// Tenants at their share that one claim passes over at most; the others have their turn with the
/// next claim.
constexpr std::size_t kMaxRefusals = 1'024;

std::size_t index_of(domain::Stage stage) {
  return static_cast<std::size_t>(stage);
}

}  // namespace

std::uint32_t WorkIndex::number_of(const domain::TenantId& tenant) {
  const auto [entry, added] =
      tenants_.try_emplace(tenant, static_cast<std::uint32_t>(rows_.size()));
  if (added) rows_.push_back({.id = tenant});
  return entry->second;
}

domain::FairQueue& WorkIndex::queue(domain::Stage stage) {
  return queues_.at(index_of(stage));
}

void WorkIndex::set_contract(const domain::TenantId& tenant, std::int64_t weight) {
  const std::uint32_t number = number_of(tenant);
  rows_[number].standing = domain::Standing::own_contract;
  rooms_.set_standing(rows_[number].share, domain::Standing::own_contract);
  for (domain::FairQueue& queue : queues_) {
    queue.set_standing(number, domain::Standing::own_contract);
    queue.set_weight(number, static_cast<std::uint32_t>(weight));
  }
}

void WorkIndex::put(const domain::Order& order, domain::Instant now) {
  const auto stage = domain::stage_of(order.status);
  PENSTOCK_CHECK(stage.has_value(), "a terminal order is in no queue");
  Active& active = active_[order.id];
  if (active.version.number != 0) {
    take_from_count(active);
    rooms_.remove(rows_[active.tenant].share, marks_of(active));
  }
  active = {.stage = *stage,
            .version = order.version,
            .tenant = number_of(order.tenant),
            .lease = Lease::free,
            .is_dead_letter = domain::is_open_dead_letter(order),
            .owes_refund = domain::owes_refund(order),
            .due = order.due};
  add_to_count(active);
  rooms_.add(rows_[active.tenant].share, marks_of(active));
  const domain::FairQueue::Entry entry{
      .order = order.id, .version = order.version.number, .queued_at = order.due};
  if (order.due > now) {
    queue(*stage).push_at(active.tenant, entry, order.due);
  } else {
    queue(*stage).push(active.tenant, entry);
  }
}

void WorkIndex::erase(const domain::OrderId& order) {
  const auto found = active_.find(order);
  if (found == active_.end()) return;
  take_from_count(found->second);
  rooms_.remove(rows_[found->second.tenant].share, marks_of(found->second));
  active_.erase(found);
}

// An order that was released until later has another entry, which is timed.
bool WorkIndex::is_stale(const domain::FairQueue::Entry& entry, domain::Stage stage,
                         domain::Instant now) const {
  const auto found = active_.find(entry.order);
  if (found == active_.end()) return true;
  const Active& active = found->second;
  return active.version.number != entry.version || active.stage != stage ||
         active.lease == Lease::held || active.due > now;
}

std::vector<domain::OrderId> WorkIndex::claim(domain::Stage stage, std::size_t limit,
                                              ports::ClaimPlaces* places, domain::Instant now) {
  domain::FairQueue& from = queue(stage);
  std::vector<domain::OrderId> claimed;
  std::size_t refusals = 0;
  while (claimed.size() < limit && refusals < kMaxRefusals) {
    const auto tenant = from.next_tenant(now);
    if (!tenant) break;
    const TenantRow& row = rows_[*tenant];
    if (places != nullptr && !places->take(row.id, row.standing)) {
      refusals += 1;
      const bool is_group_full =
          row.standing == domain::Standing::grouped && places->is_group_full();
      is_group_full ? from.pass_over_group() : from.pass_over();
      continue;
    }
    const auto entry = from.pop(now);
    if (is_stale(*entry, stage, now)) {
      if (places != nullptr) places->undo();
      continue;
    }
    lease(entry->order);
    claimed.push_back(entry->order);
  }
  from.end_pass();
  return claimed;
}

bool WorkIndex::lease(const domain::OrderId& order) {
  const auto found = active_.find(order);
  if (found == active_.end() || found->second.lease == Lease::held) return false;
  take_from_count(found->second);
  found->second.lease = Lease::held;
  add_to_count(found->second);
  return true;
}

void WorkIndex::release(const domain::OrderId& order, domain::Instant due) {
  const auto found = active_.find(order);
  if (found == active_.end() || found->second.lease == Lease::free) return;
  Active& active = found->second;
  take_from_count(active);
  active.lease = Lease::free;
  active.due = due;
  add_to_count(active);
  queue(active.stage)
      .push_at(active.tenant, {.order = order, .version = active.version.number, .queued_at = due},
               due);
}

bool WorkIndex::may_accept(const domain::TenantId& tenant) const {
  const auto known = tenants_.find(tenant);
  return rooms_.may_accept(known == tenants_.end() ? domain::OrderShare{}
                                                   : rows_[known->second].share);
}

void WorkIndex::fill(ports::StoreDepth& depth) const {
  depth.active = active_.size();
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
  for (const TenantRow& row : rows_) {
    if (rooms_.is_at_bound(row.share)) depth.at_bound.push_back(row.id);
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

// An open dead letter is not ready: it waits for an operator or the end of its hold.
void WorkIndex::add_to_count(const Active& active) {
  Count& count = counts_.at(index_of(active.stage));
  if (active.is_dead_letter) ++count.dead_letters;
  if (active.lease == Lease::held) {
    ++count.leased;
  } else if (!active.is_dead_letter) {
    ++count.ready;
  }
}

void WorkIndex::take_from_count(const Active& active) {
  Count& count = counts_.at(index_of(active.stage));
  if (active.is_dead_letter) --count.dead_letters;
  if (active.lease == Lease::held) {
    --count.leased;
  } else if (!active.is_dead_letter) {
    --count.ready;
  }
}

}  // namespace penstock::memory_store
