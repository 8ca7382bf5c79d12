#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rocksdb/db.h>

#include "adapters/rocksdb/directory_lock.h"
#include "adapters/rocksdb/record_codec.h"
#include "adapters/rocksdb/rocks_store_options.h"
#include "adapters/rocksdb/rocks_tuning.h"
#include "adapters/rocksdb/synced_files.h"
#include "adapters/rocksdb/write_set.h"
#include "domain/instant.h"
#include "ports/order_store.h"

namespace penstock::rocksdb_store {

/// The column families that always exist, in the order of their names in database.cpp.
enum class Family : std::uint8_t {
  meta,
  active,
  idempotency,
  buckets,
  stock,
  changes,
  tenants,
  outbox,
  listed,
};
inline constexpr std::size_t kFamilies = 9;

enum class Access : std::uint8_t { write, read_only };

using MonthHandle = std::shared_ptr<rocksdb::ColumnFamilyHandle>;

/// What a RocksDB status means to the port.
ports::StoreError error_of(const rocksdb::Status& status);

/// What a store does not open with: a record that is not what was written.
OpenError damaged_record(std::string_view family, std::string_view key);

/// What every iterator over the store begins with. Ranges of keys are never deleted at once
/// (DB::DeleteRange), and where an iterator of RocksDB 7.8.3 looks for such ranges, it loses the
/// error of a table that it steps onto: it drops the rest of the level and says that all is well.
rocksdb::ReadOptions scan_options();

/// RocksDB under the layout of keys.h: its families, its months, and the rule that after a failed
/// write nothing is written any more. One thread writes and changes months; any thread reads.
class Database {
 public:
  /// Opens or makes the database and checks its layout. `env` null is the system's.
  static std::expected<std::unique_ptr<Database>, OpenError> open(const RocksStoreOptions& options,
                                                                  Access access, rocksdb::Env* env);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::DB& db() const { return *db_; }
  /// Null for `changes` of a store in a layout without it that is opened for reading.
  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return families_[static_cast<std::size_t>(family)];
  }

  /// The family of a month, if it exists. Any thread; what is held stays readable after a drop.
  MonthHandle month(domain::Month month) const;
  /// All months, newest first. Any thread.
  std::vector<std::pair<domain::Month, MonthHandle>> months() const;
  /// The family of a month, made where it is missing.
  std::expected<rocksdb::ColumnFamilyHandle*, ports::StoreError> ensure_month(domain::Month month);
  /// Drops a month with all that is in it.
  std::expected<void, ports::StoreError> drop_month(domain::Month month);

  /// Writes the set atomically and synced, and clears it. A failure stops the store.
  std::expected<void, ports::StoreError> write(WriteSet& writes);

  /// The sealed value under `key`, in `value`; false where there is none. Any thread. Does not stop
  /// the store.
  std::expected<bool, ports::StoreError> read(rocksdb::ColumnFamilyHandle* family,
                                              std::string_view key,
                                              rocksdb::PinnableSlice& value) const;

  /// After the last write of a clean end: the witness says how much there is, exactly.
  std::expected<void, ports::StoreError> end();

  /// From here on nothing succeeds. The first error stays. Any thread.
  ports::StoreError stop(ports::StoreError error);
  std::optional<ports::StoreError> stopped() const;

  /// The time by which expired idempotency records are removed; never goes back.
  void set_wall(domain::Instant now);

 private:
  class Listener;
  struct Names;

  Database(std::shared_ptr<std::atomic<std::int64_t>> wall_us, const RocksStoreOptions& options,
           rocksdb::Env* env);
  std::expected<void, OpenError> lock(Access access);
  /// What is on the disk is what the last run left, whole: logs, tables, and what the witness
  /// names.
  std::expected<void, OpenError> check_files(Access access) const;
  /// Before a write is acknowledged that only a new file holds: the witness names the file.
  rocksdb::Status write_witness();
  std::expected<void, OpenError> open_families(const std::string& path, Access access,
                                               std::vector<std::string> names);
  std::expected<void, OpenError> check_layout(Access access);
  std::expected<void, OpenError> write_layout();
  std::expected<void, OpenError> check_seal(Access access) const;

  std::shared_ptr<std::atomic<std::int64_t>> wall_us_;
  RocksStoreOptions options_;
  DirectoryLock lock_;
  rocksdb::Env* env_;  ///< the one that was passed, or the system's
  std::shared_ptr<SyncedFiles> files_;
  std::unique_ptr<rocksdb::Env> watched_;  ///< `env_`, told to `files_`
  RocksTuning tuning_;
  std::string identity_;
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kFamilies> families_{};
  mutable std::mutex months_mutex_;
  std::map<domain::Month, MonthHandle> months_;
  std::pair<domain::Month, rocksdb::ColumnFamilyHandle*> last_month_{};
  std::atomic<int> stopped_ = -1;  ///< a StoreError, or -1
  rocksdb::WriteBatch batch_;
};

}  // namespace penstock::rocksdb_store
