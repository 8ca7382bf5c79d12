#pragma once

#include <expected>
#include <memory>
#include <vector>

#include <rocksdb/env.h>

#include "adapters/rocksdb/changes_log.h"
#include "adapters/rocksdb/rocks_store.h"
#include "adapters/rocksdb/rocks_store_options.h"
#include "adapters/rocksdb/store_state.h"
#include "domain/ids.h"

namespace penstock::rocksdb_store {

/// The start of a store: reads what the last run left, rebuilds what only memory holds, and stores
/// that this run began. Lives for one call of `open`.
class StoreOpener {
 public:
  /// As RocksStore::open, on the file system of `env`, which outlives the store; null is the
  /// system's. Tests pass one that fails.
  static std::expected<std::unique_ptr<RocksStore>, OpenError> open(RocksStoreOptions options,
                                                                    rocksdb::Env* env);

 private:
  template <typename Result>
  using Maybe = std::expected<Result, OpenError>;

  explicit StoreOpener(StoreState& state) : state_(state) {}

  Maybe<void> recover();
  Maybe<void> read_facts();
  Maybe<void> check_clock() const;
  Maybe<void> load_tenants();
  Maybe<void> load_changes();
  Maybe<void> load_buckets();
  Maybe<void> load_stock();
  Maybe<void> load_active_orders();
  Maybe<void> load_lists();
  Maybe<void> load_outbox();
  Maybe<void> begin_run();

  /// Calls `visit(key, value)` for every entry of a family; it says false where one is corrupt.
  template <typename Visit>
  Maybe<void> for_each(Family family, Visit visit);
  template <typename Record>
  Maybe<Record> fact(std::string_view key, Record absent);

  /// Whether a stored due time is from a clock that was ahead of the accepted one. What was left of
  /// it then is left of it now: no work is held by the difference.
  bool is_due_ahead(domain::Instant due) const {
    return ahead_ > domain::Duration{0} && due > state_.options.now.wall;
  }

  StoreState& state_;
  domain::Duration ahead_{0};  ///< of the last stored time before this start's
  bool is_first_run_ = true;
  bool is_same_boot_ = false;
  std::vector<domain::OrderId> marked_;
  StoredChanges changes_;
};

}  // namespace penstock::rocksdb_store
