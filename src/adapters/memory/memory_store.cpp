#include "adapters/memory/memory_store.h"

#include <algorithm>
#include <utility>

#include "domain/check.h"

namespace penstock::memory_store {

using ports::StoreError;

MemoryStore::MemoryStore(std::shared_ptr<MemoryDisk> disk, MemoryStoreOptions options)
    : disk_(std::move(disk)),
      options_(std::move(options)),
      limiter_(*disk_, options_.default_contract, options_.boot_id, options_.now.monotonic),
      stock_room_(*disk_),
      work_(options_.max_active) {
  recover();
}

void MemoryStore::recover() {
  recover_ends_and_marks();
  for (const auto& [tenant, contract] : disk_->contracts) {
    work_.set_contract(tenant, contract.weight);
  }
  // Ids sort by creation, so first claims are first in, first out again.
  for (const auto& [id, stored] : disk_->orders) {
    recovery_.latest = std::max(recovery_.latest, stored.order.updated_at);
    index(stored.order, options_.now.wall);
    stock_room_.rebuild_reservation(stored.order);
  }
  for (const auto& [order, delivery] : disk_->deliveries) {
    waiting_deliveries_.emplace(delivery.due, order);
  }
  recovery_.active = work_.size();
}

void MemoryStore::recover_ends_and_marks() {
  if (disk_->last_end == LastEnd::unclean) {
    ++disk_->unclean_ends;
    for (const domain::OrderId& id : disk_->marks) {
      const auto found = disk_->orders.find(id);
      if (found == disk_->orders.end() || is_terminal(found->second.order.status)) continue;
      ++found->second.order.interruptions;
      recovery_.interrupted.push_back(id);
    }
  }
  // What was running has been told once; nothing runs yet.
  disk_->marks.clear();
  disk_->last_end = LastEnd::unclean;
  recovery_.unclean_ends = disk_->unclean_ends;
}

void MemoryStore::close() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  stopped_ = StoreError::stopped;
  disk_->unclean_ends = 0;
  disk_->last_end = LastEnd::clean;
}

std::expected<void, StoreError> MemoryStore::begin_write() {
  if (stopped_) return std::unexpected(*stopped_);
  const auto fault = std::exchange(disk_->next_fault, std::nullopt);
  if (!fault) return {};
  stopped_ = fault->error;
  if (fault->write == FailingWrite::lost) return std::unexpected(*stopped_);
  return {};
}

std::expected<void, StoreError> MemoryStore::end_write() {
  if (stopped_) return std::unexpected(*stopped_);
  return {};
}

std::expected<std::vector<domain::Order>, StoreError> MemoryStore::claim_within(
    domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places, domain::Now now) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  std::vector<domain::Order> claimed;
  for (const domain::OrderId& id : work_.claim(stage, limit, places, now.wall)) {
    claimed.push_back(disk_->orders.find(id)->second.order);
  }
  return claimed;
}

std::expected<std::optional<domain::Order>, StoreError> MemoryStore::claim_one(
    const domain::OrderId& order) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  if (!work_.lease(order)) return std::nullopt;
  return disk_->orders.find(order)->second.order;
}

void MemoryStore::release(const domain::OrderId& order, domain::Instant due) {
  const std::lock_guard lock(mutex_);
  work_.release(order, due);
}

std::expected<void, StoreError> MemoryStore::mark(std::span<const domain::OrderId> orders) {
  const std::lock_guard lock(mutex_);
  if (const auto begun = begin_write(); !begun) return begun;
  disk_->marks.assign(orders.begin(), orders.end());
  return end_write();
}

std::expected<std::vector<ports::TerminalBatch>, StoreError> MemoryStore::take_terminal_batches(
    std::size_t limit) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  std::vector<ports::TerminalBatch> taken;
  for (auto next = disk_->terminal_batches.upper_bound(taken_through_);
       next != disk_->terminal_batches.end() && taken.size() < limit; ++next) {
    taken.push_back(next->second);
    taken_through_ = next->first;
  }
  return taken;
}

std::expected<std::vector<ports::Delivery>, StoreError> MemoryStore::take_deliveries(
    std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return std::unexpected(*stopped_);
  deliveries_looked_at_ = now.wall;
  std::vector<ports::Delivery> taken;
  for (auto next = waiting_deliveries_.begin();
       taken.size() < limit && next != waiting_deliveries_.end() && next->first <= now.wall;) {
    const domain::OrderId id = next->second;
    const domain::TenantId& tenant = disk_->orders.find(id)->second.order.tenant;
    if (std::ranges::find(left_out, tenant) != left_out.end()) {
      ++next;
      continue;
    }
    next = waiting_deliveries_.erase(next);
    taken.push_back(
        {.order = id, .tenant = tenant, .attempt = disk_->deliveries.find(id)->second.attempt});
  }
  return taken;
}

ports::StoreDepth MemoryStore::depth() const {
  const std::lock_guard lock(mutex_);
  ports::StoreDepth depth;
  work_.fill(depth);
  depth.owed_refunds = owed_refunds_.size();
  depth.terminal_batches = disk_->terminal_batches.size();
  depth.deliveries = disk_->deliveries.size();
  return depth;
}

std::optional<domain::Instant> MemoryStore::next_due() const {
  const std::lock_guard lock(mutex_);
  auto next = work_.next_due();
  // What was left at the last look waits for a place, which no time brings.
  const auto delivery = waiting_deliveries_.lower_bound(
      {deliveries_looked_at_ + domain::Duration{1}, domain::OrderId()});
  if (delivery != waiting_deliveries_.end()) {
    next = next ? std::min(*next, delivery->first) : delivery->first;
  }
  return next;
}

ports::Recovery MemoryStore::recovery() const {
  const std::lock_guard lock(mutex_);
  return recovery_;
}

std::expected<void, StoreError> MemoryStore::settled() {
  const std::lock_guard lock(mutex_);
  if (const auto begun = begin_write(); !begun) return begun;
  disk_->unclean_ends = 0;
  return end_write();
}

}  // namespace penstock::memory_store
