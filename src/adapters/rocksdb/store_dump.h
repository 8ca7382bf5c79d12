#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "adapters/rocksdb/rocks_store_options.h"
#include "domain/contract.h"
#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "domain/stock.h"
#include "domain/token_bucket.h"

namespace rocksdb {
class Env;
}

/// Everything that a store holds, for an offline audit.
namespace penstock::rocksdb_store {

/// A stored bucket with the contract that it was stored under.
struct DumpedBucket {
  domain::BucketContract contract;
  domain::TokenBucket::State state;
  domain::MonotonicTime at;
};

/// Told of each thing once. What cannot be read is told as corrupt and the dump goes on.
class DumpVisitor {
 public:
  virtual ~DumpVisitor() = default;

  virtual void active_order(const domain::Order& order) = 0;
  /// `receipt` is empty unless the order is fulfilled.
  virtual void ended_order(const domain::Order& order, std::string_view receipt) = 0;
  /// `reserved` is what the active orders hold.
  virtual void stock(const domain::TenantId& tenant, const domain::ProductId& product,
                     const domain::Stock& stock) = 0;
  virtual void idempotency(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
                           const domain::IdempotencyRecord& record) = 0;
  virtual void bucket(const domain::TenantId& tenant, const DumpedBucket& bucket) = 0;
  virtual void contract(const domain::TenantId& tenant, const domain::Contract& contract) = 0;
  /// An order whose end is not worked off yet.
  virtual void waiting_notification(const domain::OrderId& order, domain::Status status) = 0;
  virtual void waiting_delivery(const domain::OrderId& order, std::int32_t attempt,
                                domain::Instant due) = 0;
  virtual void dead_letter(const domain::OrderId& order) = 0;
  virtual void owed_refund(const domain::OrderId& order) = 0;
  /// Months before `first_kept` were dropped, or are about to be.
  virtual void history_dropped(domain::Month first_kept) = 0;
  /// `family` and the key's bytes in hexadecimal.
  virtual void corrupt(std::string_view family, std::string_view key) = 0;
};

/// Reads the store at `path` without changing a byte and without its lock: for a store that no
/// process is writing, whose log is replayed in memory. Orders are told before the stock, each
/// family in the order of its keys. Fails where the store does not open, or a file of it cannot be
/// read on. `env` null is the system's files.
std::expected<void, OpenError> dump(const std::string& path, DumpVisitor& visitor,
                                    rocksdb::Env* env = nullptr);

}  // namespace penstock::rocksdb_store
