#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "adapters/rocksdb/state_codec.h"
#include "domain/ids.h"
#include "domain/instant.h"

namespace penstock::rocksdb_store {

/// What notification still has to do, in memory: which terminal batches and deliveries are stored
/// in the `outbox` family and which were handed out in this run. Not thread-safe. As large as what
/// is stored.
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
    change_line(pending.tenant, [&](Line& line) { line.insert({pending.due, order}); });
  }
  const Pending* find_delivery(const domain::OrderId& order) const {
    const auto found = deliveries_.find(order);
    return found == deliveries_.end() ? nullptr : &found->second;
  }
  void erase_delivery(const domain::OrderId& order) {
    const auto found = deliveries_.find(order);
    if (found == deliveries_.end()) return;
    const Pending& pending = found->second;
    change_line(pending.tenant, [&](Line& line) { line.erase({pending.due, order}); });
    deliveries_.erase(found);
  }

  /// Takes the delivery that is due first, if one is, of the tenants that are not `left_out`.
  std::optional<std::pair<domain::OrderId, Pending>> take_delivery(
      domain::Instant now, std::span<const std::uint32_t> left_out) {
    looked_at_ = now;
    for (const auto& [due, tenant] : heads_) {
      if (due > now) break;
      if (std::ranges::find(left_out, tenant) != left_out.end()) continue;
      const domain::OrderId order = lines_.at(tenant).begin()->second;
      change_line(tenant, [](Line& line) { line.erase(line.begin()); });
      Pending& pending = deliveries_.find(order)->second;
      pending.is_taken = true;
      return std::pair{order, pending};
    }
    return std::nullopt;
  }

  /// When the next delivery becomes due that was not when deliveries were last taken: what was left
  /// then waits for a place.
  std::optional<domain::Instant> next_due() const {
    const std::pair after{looked_at_ + domain::Duration{1}, domain::OrderId()};
    std::optional<domain::Instant> due;
    // Behind what was left there may be a later one. Of few tenants alone: where many have some
    // left, all places are taken, and each that comes free looks again.
    constexpr std::size_t kLooked = 64;
    std::size_t looked = 0;
    for (const auto& [head, tenant] : heads_) {
      if (head > looked_at_ || ++looked > kLooked) break;
      const Line& line = lines_.at(tenant);
      const auto later = line.lower_bound(after);
      if (later != line.end() && (!due || later->first < *due)) due = later->first;
    }
    const auto next = heads_.lower_bound({after.first, 0});
    if (next != heads_.end() && (!due || next->first < *due)) due = next->first;
    return due;
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
  /// A tenant's deliveries by due time.
  using Line = std::set<std::pair<domain::Instant, domain::OrderId>>;

  /// Changes a tenant's line, and what is known of its head.
  template <typename Change>
  void change_line(std::uint32_t tenant, Change change) {
    Line& line = lines_[tenant];
    if (!line.empty()) heads_.erase({line.begin()->first, tenant});
    change(line);
    if (line.empty()) {
      lines_.erase(tenant);
    } else {
      heads_.insert({line.begin()->first, tenant});
    }
  }

  std::map<std::uint64_t, std::vector<domain::Month>> batches_;
  std::uint64_t taken_through_ = 0;
  std::unordered_map<domain::OrderId, Pending> deliveries_;
  std::unordered_map<std::uint32_t, Line> lines_;              ///< not taken, by tenant
  std::set<std::pair<domain::Instant, std::uint32_t>> heads_;  ///< the first of each line
  domain::Instant looked_at_;                                  ///< at the last take_delivery
};

}  // namespace penstock::rocksdb_store
