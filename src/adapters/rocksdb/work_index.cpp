#include "adapters/rocksdb/work_index.h"

#include <algorithm>

#include "domain/check.h"

namespace penstock::rocksdb_store {
namespace {

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
  domain::FairQueue& queue = queues_[stage_index(order.status)];
  const domain::FairQueue::Entry entry{
      .order = order.id, .version = active->ticket, .queued_at = now};
  if (order.due > now) {
    queue.push_at(entry, order.due);
  } else {
    queue.push(tenant, entry);
  }
  return *active;
}

void WorkIndex::erase(const domain::OrderId& order) {
  if (const ActiveOrder* active = orders_.find(order)) {
    count(*active, Direction::take);
    orders_.erase(order);
  }
}

void WorkIndex::hold(ActiveOrder& order) {
  count(order, Direction::take);
  order.leased = true;
  count(order, Direction::add);
}

const ActiveOrder* WorkIndex::claim(domain::Stage stage, domain::Instant now) {
  domain::FairQueue& queue = queues_.at(static_cast<std::size_t>(stage));
  while (const auto entry = queue.pop(now)) {
    ActiveOrder* order = orders_.find(entry->order);
    const bool counts = order != nullptr && order->ticket == entry->version && !order->leased &&
                        domain::stage_of(order->status) == stage;
    if (!counts) continue;
    hold(*order);
    return order;
  }
  return nullptr;
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
      {.order = order, .version = active->ticket, .queued_at = due}, due);
}

void WorkIndex::fill(ports::StoreDepth& depth) const {
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
