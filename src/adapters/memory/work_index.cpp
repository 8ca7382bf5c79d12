#include "adapters/memory/work_index.h"

#include "domain/check.h"

namespace penstock::memory_store {
namespace {

std::size_t index_of(domain::Stage stage) {
  return static_cast<std::size_t>(stage);
}

}  // namespace

std::uint32_t WorkIndex::number_of(const domain::TenantId& tenant) {
  return tenants_.try_emplace(tenant, static_cast<std::uint32_t>(tenants_.size())).first->second;
}

domain::FairQueue& WorkIndex::queue(domain::Stage stage) {
  return queues_.at(index_of(stage));
}

void WorkIndex::set_weight(const domain::TenantId& tenant, std::int64_t weight) {
  const std::uint32_t number = number_of(tenant);
  for (domain::FairQueue& queue : queues_) {
    queue.set_weight(number, static_cast<std::uint32_t>(weight));
  }
}

void WorkIndex::put(const domain::Order& order, domain::Instant now) {
  const auto stage = domain::stage_of(order.status);
  PENSTOCK_CHECK(stage.has_value(), "a terminal order is in no queue");
  Active& active = active_[order.id];
  if (active.version.number != 0) take_from_count(active);
  active = {.stage = *stage,
            .version = order.version,
            .lease = Lease::free,
            .is_dead_letter = domain::is_open_dead_letter(order),
            .due = order.due};
  add_to_count(active);
  const domain::FairQueue::Entry entry{
      .order = order.id, .version = order.version.number, .queued_at = order.due};
  if (order.due > now) {
    queue(*stage).push_at(entry, order.due);
  } else {
    queue(*stage).push(number_of(order.tenant), entry);
  }
}

void WorkIndex::erase(const domain::OrderId& order) {
  const auto found = active_.find(order);
  if (found == active_.end()) return;
  take_from_count(found->second);
  active_.erase(found);
}

std::optional<domain::OrderId> WorkIndex::claim(domain::Stage stage, domain::Instant now) {
  while (const auto entry = queue(stage).pop(now)) {
    const auto found = active_.find(entry->order);
    if (found == active_.end()) continue;
    const Active& active = found->second;
    // An order that was released until later has another entry, which is timed.
    const bool is_stale = active.version.number != entry->version || active.stage != stage ||
                          active.lease == Lease::held || active.due > now;
    if (is_stale) continue;
    lease(entry->order);
    return entry->order;
  }
  return std::nullopt;
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
      .push_at({.order = order, .version = active.version.number, .queued_at = due}, due);
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
