#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "domain/fair_queue.h"
#include "domain/fair_share.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "domain/order_shares.h"
#include "ports/order_store.h"

namespace penstock::memory_store {

/// The stages' queues, the leases and the depths: what is lost with the process and rebuilt from
/// the active orders. Not thread-safe. For every active order that nobody holds there is a queue
/// entry at its due time; entries that do not fit their order any more are dropped when taken.
class WorkIndex {
 public:
  explicit WorkIndex(std::size_t max_active) : rooms_(max_active) {}

  /// The tenant has a contract of its own, with this weight in every stage's queue, 1..kMaxWeight.
  void set_contract(const domain::TenantId& tenant, std::int64_t weight);

  /// Adds or replaces an active order: no lease, queued at its stage, timed where order.due > now.
  void put(const domain::Order& order, domain::Instant now);

  /// Forgets an order, which became terminal.
  void erase(const domain::OrderId& order);

  /// Leases up to `limit` due orders of `stage`, each with a place if there are `places`.
  std::vector<domain::OrderId> claim(domain::Stage stage, std::size_t limit,
                                     ports::ClaimPlaces* places, domain::Instant now);

  /// Leases one order out of turn; false if it is not active or is leased.
  bool lease(const domain::OrderId& order);

  /// Gives a lease back; the order is not claimed before `due`. No effect without a lease.
  void release(const domain::OrderId& order, domain::Instant due);

  /// Whether one more order of the tenant may become active.
  bool may_accept(const domain::TenantId& tenant) const;

  bool contains(const domain::OrderId& order) const { return active_.contains(order); }
  std::size_t size() const { return active_.size(); }

  /// Per stage, with `active`, `open_dead_letters` and who is at a bound; the rest stays.
  void fill(ports::StoreDepth& depth) const;
  std::optional<domain::Instant> next_due() const;

 private:
  enum class Lease : std::uint8_t { free, held };

  struct Active {
    domain::Stage stage = domain::Stage::inventory;
    domain::Version version;
    std::uint32_t tenant = 0;
    Lease lease = Lease::free;
    bool is_dead_letter = false;
    bool owes_refund = false;
    domain::Instant due;
  };
  struct Count {
    std::size_t ready = 0;
    std::size_t leased = 0;
    std::size_t dead_letters = 0;
  };

  struct TenantRow {
    domain::TenantId id;
    domain::Standing standing = domain::Standing::grouped;
    domain::OrderShare share{};
  };

  bool is_stale(const domain::FairQueue::Entry& entry, domain::Stage stage,
                domain::Instant now) const;
  std::uint32_t number_of(const domain::TenantId& tenant);
  domain::FairQueue& queue(domain::Stage stage);
  void add_to_count(const Active& active);
  void take_from_count(const Active& active);
  static domain::OrderMarks marks_of(const Active& active) {
    return {.is_open_dead_letter = active.is_dead_letter, .owes_refund = active.owes_refund};
  }

  std::unordered_map<domain::OrderId, Active> active_;
  std::unordered_map<domain::TenantId, std::uint32_t> tenants_;
  std::vector<TenantRow> rows_;  ///< by their numbers
  std::array<domain::FairQueue, domain::kStages + 1> queues_;
  std::array<Count, domain::kStages + 1> counts_{};
  domain::OrderRooms rooms_;
};

}  // namespace penstock::memory_store
