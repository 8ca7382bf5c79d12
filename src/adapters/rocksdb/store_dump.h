#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "adapters/rocksdb/rocks_store_options.h"
#include "domain/contract.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/token_bucket.h"
#include "ports/dump_visitor.h"

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

/// Told what only this store can tell, too. The reserved pieces of a stock are what the active
/// orders hold.
class DumpVisitor : public ports::DumpVisitor {
 public:
  virtual void bucket(const domain::TenantId&, const DumpedBucket&) {}
  virtual void contract(const domain::TenantId&, const domain::Contract&) {}
  /// An order whose end is not worked off yet.
  virtual void waiting_notification(const domain::OrderId& order) { waiting_delivery(order); }
  /// A delivery that is not over, and the number of its next attempt.
  virtual void delivery(const domain::OrderId& order, std::int32_t /*attempt*/) {
    waiting_delivery(order);
  }
  virtual void dead_letter(const domain::OrderId&) {}
  virtual void owed_refund(const domain::OrderId&) {}
  /// The months before `first_kept` were dropped, or are about to be.
  virtual void months_dropped(domain::Month /*first_kept*/) { history_dropped(); }
};

/// Reads the store at `path` without changing a byte, under a shared lock: for a store that no
/// process is writing (else store_locked), whose log is replayed in memory. Each family is told in
/// the order of its keys. Fails where the store does not open, or a file of it cannot be read on.
/// `env` null is the system's files.
std::expected<void, OpenError> dump(const std::string& path, DumpVisitor& visitor,
                                    rocksdb::Env* env = nullptr);

}  // namespace penstock::rocksdb_store
