#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "adapters/rocksdb/state_codec.h"
#include "domain/ids.h"
#include "domain/instant.h"

namespace penstock::rocksdb_store {

/// What notification still has to do, in memory: which terminal batches and deliveries are stored
/// in the `outbox` family and which were handed out in this run. Not thread-safe. As large as what
/// is stored; the pipeline bounds that by the depths it is told.
class Outbox {
 public:
  struct Pending {
    std::uint32_t tenant = 0;  ///< number in the tenant table
    std::int32_t attempt = 1;
    domain::Instant due;
    bool is_taken = false;
  };

  /// A stored terminal batch and the months that its orders are kept in.
  void add_batch(std::uint64_t sequence, std::vector<domain::Month> months) {
    batches_.emplace(sequence, std::move(months));
  }
  const std::vector<domain::Month>* find_batch(std::uint64_t sequence) const {
    const auto found = batches_.find(sequence);
    return found == batches_.end() ? nullptr : &found->second;
  }
  void finish_batch(std::uint64_t sequence) { batches_.erase(sequence); }

  /// Up to `limit` batches that were not taken in this run, oldest first.
  std::vector<std::uint64_t> take_batches(std::size_t limit) {
    std::vector<std::uint64_t> taken;
    auto next = batches_.upper_bound(taken_through_);
    for (; next != batches_.end() && taken.size() < limit; ++next) taken.push_back(next->first);
    if (!taken.empty()) taken_through_ = taken.back();
    return taken;
  }

  void put_delivery(const domain::OrderId& order, const Pending& pending) {
    erase_delivery(order);
    deliveries_[order] = pending;
    waiting_.insert({pending.due, order});
  }
  const Pending* find_delivery(const domain::OrderId& order) const {
    const auto found = deliveries_.find(order);
    return found == deliveries_.end() ? nullptr : &found->second;
  }
  void erase_delivery(const domain::OrderId& order) {
    const auto found = deliveries_.find(order);
    if (found == deliveries_.end()) return;
    waiting_.erase({found->second.due, order});
    deliveries_.erase(found);
  }

  /// Takes the delivery that is due first, if one is.
  std::optional<std::pair<domain::OrderId, Pending>> take_delivery(domain::Instant now) {
    if (waiting_.empty() || waiting_.begin()->first > now) return std::nullopt;
    const domain::OrderId order = waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    Pending& pending = deliveries_.find(order)->second;
    pending.is_taken = true;
    return std::pair{order, pending};
  }

  std::optional<domain::Instant> next_due() const {
    if (waiting_.empty()) return std::nullopt;
    return waiting_.begin()->first;
  }

  /// The oldest month that a batch or a delivery names.
  std::optional<domain::Month> oldest_month() const {
    std::optional<domain::Month> oldest;
    const auto look_at = [&oldest](domain::Month month) {
      if (!oldest || month < *oldest) oldest = month;
    };
    for (const auto& [sequence, months] : batches_) {
      for (const domain::Month month : months) look_at(month);
    }
    for (const auto& [order, pending] : deliveries_) look_at(order.month());
    return oldest;
  }

  std::size_t batches() const { return batches_.size(); }
  std::size_t deliveries() const { return deliveries_.size(); }

 private:
  std::map<std::uint64_t, std::vector<domain::Month>> batches_;
  std::uint64_t taken_through_ = 0;
  std::unordered_map<domain::OrderId, Pending> deliveries_;
  std::set<std::pair<domain::Instant, domain::OrderId>> waiting_;  ///< not taken
};

}  // namespace penstock::rocksdb_store
