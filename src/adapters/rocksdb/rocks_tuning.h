#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "adapters/rocksdb/rocks_store_options.h"

namespace penstock::rocksdb_store {

/// How RocksDB is set up; what decides each value is told beside it in the source.
class RocksTuning {
 public:
  /// `wall_us` is the last batch's time, by which expired idempotency records are left out of
  /// compactions. `env` null is the system's.
  RocksTuning(const RocksStoreOptions& options, std::shared_ptr<std::atomic<std::int64_t>> wall_us,
              rocksdb::Env* env);

  rocksdb::DBOptions database() const;
  /// Of a family of keys.h by its name.
  rocksdb::ColumnFamilyOptions family(const std::string& name) const;

 private:
  rocksdb::ColumnFamilyOptions small_family() const;
  rocksdb::ColumnFamilyOptions tiered_family(int runs) const;

  const RocksStoreOptions& options_;
  std::shared_ptr<std::atomic<std::int64_t>> wall_us_;
  rocksdb::Env* env_;
  std::shared_ptr<rocksdb::Cache> cache_;
};

}  // namespace penstock::rocksdb_store
