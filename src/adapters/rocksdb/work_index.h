#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "adapters/rocksdb/order_index.h"
#include "domain/fair_queue.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "ports/order_store.h"

namespace penstock::rocksdb_store {

/// The active orders, their leases, the stages' queues over them and the depths: what is lost with
/// the process and rebuilt from the `active` family. For every active order that nobody holds there
/// is exactly one queue entry that counts. Not thread-safe.
class WorkIndex {
 public:
  /// The share of a tenant in every stage's queue, 1..kMaxWeight.
  void set_weight(std::uint32_t tenant, std::int64_t weight);

  /// Adds or replaces an active order: no lease, queued at its stage, timed where order.due > now.
  /// The entry is valid until the next put or erase.
  ActiveOrder& put(const domain::Order& order, std::uint32_t tenant, domain::Instant now);

  /// Forgets an order, which became terminal.
  void erase(const domain::OrderId& order);

  const ActiveOrder* find(const domain::OrderId& order) const { return orders_.find(order); }
  std::size_t size() const { return orders_.size(); }
  std::size_t owed_refunds() const { return owed_refunds_; }

  /// Leases the next due order of `stage`.
  const ActiveOrder* claim(domain::Stage stage, domain::Instant now);

  /// Leases one order out of turn; null if it is not active or is leased.
  const ActiveOrder* lease(const domain::OrderId& order);

  /// Gives a lease back; the order is not claimed before `due`. No effect without a lease.
  void release(const domain::OrderId& order, domain::Instant due);

  /// Per stage, with `active`, `owed_refunds` and `open_dead_letters`; the rest stays as it is.
  void fill(ports::StoreDepth& depth) const;
  std::optional<domain::Instant> next_due() const;

  /// The month of the oldest active order.
  std::optional<domain::Month> oldest_month() const;

 private:
  struct Count {
    std::size_t ready = 0;
    std::size_t leased = 0;
    std::size_t dead_letters = 0;
  };
  enum class Direction : std::uint8_t { add, take };

  void count(const ActiveOrder& order, Direction direction);
  void hold(ActiveOrder& order);

  OrderIndex orders_;
  std::array<domain::FairQueue, domain::kStages + 1> queues_;
  std::array<Count, domain::kStages + 1> counts_{};
  std::size_t owed_refunds_ = 0;
};

}  // namespace penstock::rocksdb_store
