#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "adapters/rocksdb/order_index.h"
#include "adapters/rocksdb/tenant_table.h"
#include "domain/fair_queue.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "domain/order_shares.h"
#include "ports/order_store.h"

namespace penstock::rocksdb_store {

/// The active orders, their leases, the stages' queues over them and the depths: what is lost with
/// the process and rebuilt from the `active` family. For every active order that nobody holds there
/// is exactly one queue entry that counts. Not thread-safe.
class WorkIndex {
 public:
  explicit WorkIndex(std::size_t max_active) : rooms_(max_active) {}

  /// The weight of a tenant in every stage's queue, 1..kMaxWeight.
  void set_weight(std::uint32_t tenant, std::int64_t weight);
  /// The tenant has a contract of its own, with this weight.
  void set_contract(std::uint32_t tenant, std::int64_t weight);

  /// Adds or replaces an active order: no lease, queued at its stage, timed where order.due > now.
  /// The entry is valid until the next put or erase.
  ActiveOrder& put(const domain::Order& order, std::uint32_t tenant, domain::Instant now);

  /// Forgets an order, which became terminal.
  void erase(const domain::OrderId& order);

  const ActiveOrder* find(const domain::OrderId& order) const { return orders_.find(order); }
  std::size_t size() const { return orders_.size(); }
  std::size_t owed_refunds() const { return owed_refunds_; }

  /// Leases up to `limit` due orders of `stage`, each with a place if there are `places`. What it
  /// returns lives until the next put or erase.
  std::vector<const ActiveOrder*> claim(domain::Stage stage, std::size_t limit,
                                        ports::ClaimPlaces* places, const TenantTable& tenants,
                                        domain::Instant now);

  /// Leases one order out of turn; null if it is not active or is leased.
  const ActiveOrder* lease(const domain::OrderId& order);

  /// Gives a lease back; the order is not claimed before `due`. No effect without a lease.
  void release(const domain::OrderId& order, domain::Instant due);

  /// Whether one more order of the tenant may become active; without a number: of a new one.
  bool may_accept(std::optional<std::uint32_t> tenant) const;

  /// Per stage, with `active`, `owed_refunds`, `open_dead_letters` and who is at a bound; the rest
  /// stays as it is.
  void fill(ports::StoreDepth& depth, const TenantTable& tenants) const;
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
  domain::OrderShare& share_of(std::uint32_t tenant);
  static domain::OrderMarks marks_of(const ActiveOrder& order) {
    return {.is_open_dead_letter = order.open_dead_letter, .owes_refund = order.owes_refund};
  }

  OrderIndex orders_;
  std::array<domain::FairQueue, domain::kStages + 1> queues_;
  std::array<Count, domain::kStages + 1> counts_{};
  std::size_t owed_refunds_ = 0;
  domain::OrderRooms rooms_;
  std::vector<domain::OrderShare> shares_;  ///< by the tenants' numbers
};

}  // namespace penstock::rocksdb_store
