#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "domain/contract.h"
#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "domain/token_bucket.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::memory_store {

/// Of one (tenant, product), what is durable: `reserved` follows from the active orders.
struct StockTotals {
  std::int64_t received = 0;
  std::int64_t sold = 0;
};

using StockKey = std::pair<domain::TenantId, domain::ProductId>;
using IdempotencyName = std::pair<domain::TenantId, domain::IdempotencyKey>;

/// Of a pair of names, for tables that are looked into for every order.
struct NamesHash {
  template <typename First, typename Second>
  std::size_t operator()(const std::pair<First, Second>& names) const noexcept {
    const std::size_t first = std::hash<First>{}(names.first);
    return std::rotl(first, 21) * 0x9e3779b97f4a7c15U ^ std::hash<Second>{}(names.second);
  }
};

/// A bucket as it was when it was last written, under the contract of that time.
struct BucketRecord {
  domain::BucketContract contract;
  domain::TokenBucket::State state;
  domain::MonotonicTime at;
};

struct PendingDelivery {
  std::int32_t attempt = 1;  ///< the next one
  domain::Instant due;
};

enum class LastEnd : std::uint8_t { none, unclean, clean };

/// What happens to the writes of the next synced call, for tests of a failing disk.
enum class FailingWrite : std::uint8_t { lost, landed };

struct SyncFault {
  ports::StoreError error = ports::StoreError::stopped;
  FailingWrite write = FailingWrite::lost;
};

/// The durable state of a MemoryStore, as a disk would hold it after each synced call. It outlives
/// the store: destroying the store without `close` and opening another on the same disk is a crash
/// and a restart. Plain data without a lock: only the store that is open on it may touch it, and
/// only one may be. Lives as long as the process, and so do the orders in it: history is not
/// dropped.
struct MemoryDisk {
  std::map<domain::OrderId, ports::StoredOrder> orders;
  std::map<StockKey, StockTotals> stock;
  std::unordered_map<IdempotencyName, domain::IdempotencyRecord, NamesHash> idempotency;
  /// When each of `idempotency` expires; the order of their removal.
  std::set<std::pair<domain::Instant, IdempotencyName>> expiries;
  std::map<domain::TenantId, BucketRecord> buckets;
  std::map<domain::TenantId, domain::Contract> contracts;
  std::set<domain::TenantId> tenants;  ///< with a stored contract or an order
  std::map<std::uint64_t, ports::TerminalBatch> terminal_batches;
  std::map<domain::OrderId, PendingDelivery> deliveries;
  std::vector<domain::OrderId> marks;
  std::uint64_t next_batch = 1;
  std::string boot_id;
  domain::MonotonicTime limiter_time;  ///< of the last applied batch, under `boot_id`
  LastEnd last_end = LastEnd::none;
  std::int32_t unclean_ends = 0;

  std::optional<SyncFault> next_fault;  ///< consumed by the next synced call
};

}  // namespace penstock::memory_store
