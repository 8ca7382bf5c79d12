#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checker/event.h"
#include "checker/order_rules.h"
#include "checker/report.h"
#include "domain/limits.h"

namespace penstock::checker {

/// Whether the store's commits are in the history, or only the store at its end.
enum class StoreTap : std::uint8_t { followed, final_only };
/// Whether the gateway's ledger is in the history, complete.
enum class LedgerFeed : std::uint8_t { followed, absent };

/// Whether every failure that a peer reports is in the history (PeerFailed).
enum class FailureFeed : std::uint8_t { followed, absent };

struct HistoryOptions {
  StoreTap store = StoreTap::followed;
  LedgerFeed ledger = LedgerFeed::followed;
  FailureFeed failures = FailureFeed::absent;
  int max_attempts = kMaxAttempts;  ///< of a stage, before the order is dead-lettered
  /// Of tenants that no ContractStored (or put, where the store is not followed) named yet. Absent:
  /// admissions are judged only for tenants with a known contract.
  std::optional<domain::BucketContract> default_contract = std::nullopt;
  /// What the clocks of a shared store may be off: admits `rate * clock_error` more.
  domain::Duration clock_error{};
  /// For so long after its answer a key certainly lives, in true time. Smaller than the product's
  /// where the world's wall clock jumps ahead.
  domain::Duration key_retention = domain::limits::kIdempotencyRetention;
  domain::Duration dead_letter_hold = domain::limits::kDeadLetterHold;
};

/// Whether the world was kind for long enough before the end: then every order must have ended.
enum class Quiescence : std::uint8_t { reached, not_claimed };

/// Depths that the store itself counts, to be compared with what its records say.
struct FinalDepths {
  std::size_t active = 0;
  std::size_t open_dead_letters = 0;
  std::size_t owed_refunds = 0;
};

enum class FinalDelivery : std::uint8_t { pending, gave_up };

/// The store at the end, whole, for worlds that hold it in memory.
struct FinalStore {
  struct StoredOrder {
    domain::Order order;
    ReceiptPresence receipt = ReceiptPresence::absent;
  };
  struct StoredStock {
    domain::TenantId tenant;
    domain::ProductId product;
    domain::Stock stock;
  };
  struct StoredKey {
    domain::TenantId tenant;
    domain::IdempotencyKey key;
    domain::IdempotencyRecord record;
  };
  struct StoredDelivery {
    domain::OrderId order;
    FinalDelivery state = FinalDelivery::pending;
  };
  std::vector<StoredOrder> orders;
  std::vector<StoredStock> stock;
  std::vector<StoredKey> keys;
  std::vector<StoredDelivery> deliveries;
  std::optional<FinalDepths> depths;
  Quiescence quiescence = Quiescence::reached;
  /// The wall clock of the processes at the end, for the hold of dead letters; absent: not judged.
  std::optional<domain::Instant> wall;
};

/// Judges a history while it happens. Events are added in real-time order; every invariant about
/// safety is decided at every prefix, so the report names a violation as soon as the event that
/// makes it undeniable is added. An operation whose outcome is unknown, or that never completes,
/// may have happened, may not have, or may happen later: only what no choice explains is a
/// violation.
///
/// Orders are versioned registers: a read must return a version that was committed before it
/// completed, and none older than what was committed, acknowledged or read before it was invoked.
/// Since versions are totally ordered, that is linearizability, decided in O(1) a read.
///
/// Memory: under 400 bytes an order, with its idempotency key, movements and deliveries, and 300 an
/// operation in flight; nothing for operations that completed. Time: O(1) an event but for the
/// events of a commit's timeline, and O(log operations in flight) an admission where the store is
/// not followed. Not thread-safe.
/// Shares value types with the product and no rule: automaton, sums and buckets are its own.
class History {
 public:
  explicit History(HistoryOptions options = {});
  History(const History&) = delete;
  History& operator=(const History&) = delete;
  ~History();

  /// The next event; `at` must not go back, and an operation is invoked once before it completes
  /// once (else it is the feeder's bug, and stops the process).
  void add(const Event& event);
  /// The same for something that is elsewhere and need not be copied into an event.
  void add(domain::Instant at, const OccurrencePointer& what);

  /// What was found so far; grows with `add`. For a world that stops at its first violation.
  const Report& so_far() const;

  // The store at its end, record by record, in any order, behind the last event.
  void add_final_order(const domain::Order& order, ReceiptPresence receipt);
  void add_final_stock(const domain::TenantId& tenant, const domain::ProductId& product,
                       const domain::Stock& stock);
  void add_final_key(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
                     const domain::IdempotencyRecord& record);
  void add_final_delivery(const domain::OrderId& order, FinalDelivery state);
  void add_final_depths(const FinalDepths& depths);
  /// A record that could not be read.
  void add_unreadable(std::string subject, std::string detail);
  /// Months were dropped: orders may be missing, and sums over all of them are not expected to
  /// hold.
  void history_was_dropped();

  /// Judges the end: liveness, and what spans the whole. Once, last.
  Report finish(Quiescence quiescence, std::optional<domain::Instant> wall = std::nullopt);
  /// The same with the store in one piece.
  Report finish(const FinalStore& store);

 private:
  class Judge;
  std::unique_ptr<Judge> judge_;
};

}  // namespace penstock::checker
