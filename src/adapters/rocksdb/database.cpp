#include "adapters/rocksdb/database.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <sys/resource.h>

#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/live_files.h"
#include "adapters/rocksdb/log_scan.h"
#include "adapters/rocksdb/state_codec.h"
#include "adapters/rocksdb/store_witness.h"
#include "adapters/rocksdb/table_checksum.h"

namespace penstock::rocksdb_store {
namespace {

using domain::ErrorCode;
using domain::Month;
using ports::StoreError;

/// A flush takes a whole processor for a moment, and gives way to the threads that answer; not so
/// far that it starves where they keep every processor busy.
constexpr int kBackgroundNiceness = 5;

void lower_background_priority(rocksdb::Env& env) {
  for (const auto pool : {rocksdb::Env::HIGH, rocksdb::Env::LOW}) {
    env.IncBackgroundThreadsIfNeeded(1, pool);
    // Process 0 is the calling thread on Linux.
    env.Schedule([](void*) { setpriority(PRIO_PROCESS, 0, kBackgroundNiceness); }, nullptr, pool);
  }
}

constexpr std::array<const char*, kFamilies> kFamilyNames{"default", "active", "idempotency",
                                                          "buckets", "stock",  "changes",
                                                          "tenants", "outbox", "listed"};

constexpr std::string_view kChangesName = "changes";

OpenError open_error_of(const rocksdb::Status& status) {
  const std::string detail = status.ToString();
  // RocksDB has no code of its own for a lock that is held, by this process or by another one.
  const bool is_lock =
      status.IsIOError() && (detail.find("lock hold") != std::string::npos ||
                             detail.ends_with("LOCK: Resource temporarily unavailable"));
  if (is_lock) return {ErrorCode::store_locked, detail};
  if (status.IsNoSpace()) return {ErrorCode::disk_full, detail};
  if (status.IsCorruption()) return {ErrorCode::store_corrupt, detail};
  if (status.IsInvalidArgument()) return {ErrorCode::store_layout, detail};
  return access_error(detail);
}

std::optional<Month> month_of_family(const std::string& name) {
  if (!name.starts_with(kMonthPrefix)) return std::nullopt;
  return domain::parse_month(std::string_view(name).substr(kMonthPrefix.size()));
}

std::string family_of_month(Month month) {
  return std::string(kMonthPrefix) + domain::to_string(month);
}

/// Makes the directory and those above it, and makes their names durable: RocksDB syncs the names
/// in its directory, but not the directory's own, and without it all that was acknowledged is gone.
rocksdb::Status make_directory(rocksdb::Env& env, const std::string& path) {
  std::string absolute;
  rocksdb::Status status = env.GetAbsolutePath(path, &absolute);
  if (!status.ok()) return status;
  std::vector<std::filesystem::path> chain;  // from the root on
  for (std::filesystem::path at = std::filesystem::path(absolute).lexically_normal();
       at.has_relative_path(); at = at.parent_path()) {
    if (at.has_filename()) chain.push_back(at);
  }
  std::ranges::reverse(chain);
  for (const std::filesystem::path& directory : chain) {
    if (status = env.CreateDirIfMissing(directory); !status.ok()) return status;
    std::unique_ptr<rocksdb::Directory> above;
    // One that may not be read was not made by this program, nor anything in it.
    if (!env.NewDirectory(directory.parent_path(), &above).ok()) continue;
    if (status = above->Fsync(); !status.ok()) return status;
  }
  return {};
}

/// Reads through the tables that a start loads, or through all of them where they are only read, so
/// that damage is found at the start, not when its record is needed. Of the others, the months and
/// the idempotency keys, it reads what RocksDB does when it opens them.
std::expected<void, OpenError> check_tables(rocksdb::Env& env, const std::string& path,
                                            Access access) {
  const auto files = live_files(env, path);
  if (!files) return std::unexpected(open_error_of(files.error()));
  for (const LiveTable& table : files->tables) {
    const bool is_loaded =
        !table.family.starts_with(kMonthPrefix) &&
        table.family != kFamilyNames[static_cast<std::size_t>(Family::idempotency)];
    const bool is_read = access == Access::read_only || is_loaded;
    const rocksdb::Status status =
        check_table(env, table, is_read ? TableCheck::whole : TableCheck::end);
    if (status.ok()) continue;
    return std::unexpected(
        OpenError{open_error_of(status).code,
                  fmt::format("{} of {}: {}", table.path, table.family, status.ToString())});
  }
  return {};
}

}  // namespace

StoreError error_of(const rocksdb::Status& status) {
  if (status.IsNoSpace()) return StoreError::full_disk;
  if (status.IsCorruption()) return StoreError::corrupt;
  return StoreError::stopped;
}

OpenError damaged_record(std::string_view family, std::string_view key) {
  return {ErrorCode::store_corrupt,
          fmt::format("the record {} in {} is damaged", hexadecimal(key), family)};
}

rocksdb::ReadOptions scan_options() {
  rocksdb::ReadOptions scan;
  scan.ignore_range_deletions = true;
  return scan;
}

/// A background flush or compaction that failed may have lost a sync: it stops the store as well.
class Database::Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(Database& database) : database_(database) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    if (status != nullptr && !status->ok()) database_.stop(error_of(*status));
  }
  // A full disk is resumed from whatever max_bgerror_resume_count says: memory tables are flushed
  // and logs are synced once there is room. The store has stopped, and what failed is not retried.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    if (auto_recovery != nullptr) *auto_recovery = false;
  }

 private:
  Database& database_;
};

Database::Database(std::shared_ptr<std::atomic<std::int64_t>> wall_us,
                   const RocksStoreOptions& options, rocksdb::Env* env)
    : wall_us_(std::move(wall_us)),
      options_(options),
      env_(env == nullptr ? rocksdb::Env::Default() : env),
      files_(std::make_shared<SyncedFiles>()),
      watched_(watched_env(*env_, files_)),
      tuning_(options_, wall_us_, watched_.get()) {}

std::expected<std::unique_ptr<Database>, OpenError> Database::open(const RocksStoreOptions& options,
                                                                   Access access,
                                                                   rocksdb::Env* env) {
  auto wall_us = std::make_shared<std::atomic<std::int64_t>>(0);
  std::unique_ptr<Database> database(new Database(std::move(wall_us), options, env));
  // The directories of another file system are in the memory of a test.
  if (env == nullptr) {
    if (auto locked = database->lock(access); !locked) return std::unexpected(locked.error());
  } else if (access == Access::write) {
    const rocksdb::Status made = make_directory(*env, options.path);
    if (!made.ok()) return std::unexpected(open_error_of(made));
  }
  // Before RocksDB, which takes damage in a log for its end and goes on without what is behind it,
  // takes a log that is missing for one that never was, and ends the process at some damage in a
  // table.
  if (auto checked = database->check_files(access); !checked) {
    return std::unexpected(checked.error());
  }
  std::vector<std::string> names;
  const rocksdb::Status listed =
      rocksdb::DB::ListColumnFamilies(database->tuning_.database(), options.path, &names);
  if (!listed.ok()) {
    const auto current = database->env_->FileExists(options.path + "/CURRENT");
    if (!current.IsNotFound()) return std::unexpected(open_error_of(listed));
    names.clear();
  }
  if (access == Access::write) lower_background_priority(*database->env_);
  if (auto opened = database->open_families(options.path, access, std::move(names)); !opened) {
    return std::unexpected(opened.error());
  }
  const rocksdb::Status named = database->db_->GetDbIdentity(database->identity_);
  if (!named.ok()) return std::unexpected(open_error_of(named));
  if (auto checked = database->check_layout(access); !checked) {
    return std::unexpected(checked.error());
  }
  return database;
}

std::expected<void, OpenError> Database::lock(Access access) {
  if (options_.lock == StoreLock::none) return {};
  auto taken =
      DirectoryLock::take(options_.path, access == Access::write ? DirectoryLock::Mode::exclusive
                                                                 : DirectoryLock::Mode::shared);
  if (!taken) return std::unexpected(taken.error());
  lock_ = std::move(*taken);
  return {};
}

std::expected<void, OpenError> Database::check_files(Access access) const {
  rocksdb::Env& env = *env_;
  const std::string& path = options_.path;
  // Read before the files that it names: a server beside a reader only adds to them.
  const auto witness = read_witness(env, path);
  if (!witness) return std::unexpected(witness.error());
  const bool has_store = !env.FileExists(path + "/CURRENT").IsNotFound();
  if (auto checked = check_companions(path, *witness, has_store, options_.companions); !checked) {
    return checked;
  }
  if (!has_store) {
    if (*witness) return std::unexpected(store_is_gone(path));
    return {};
  }
  const auto last_sequence = check_logs(env, path);
  if (!last_sequence) return std::unexpected(last_sequence.error());
  if (*witness) {
    if (auto checked = check_witness(env, path, **witness, *last_sequence); !checked) {
      return checked;
    }
  }
  return check_tables(env, path, access);
}

rocksdb::Status Database::write_witness() {
  Witness witness = files_->take(identity_, db_->GetLatestSequenceNumber());
  witness.companions = sizes_of(options_.companions);
  return rocksdb_store::write_witness(*env_, options_.path, witness);
}

std::expected<void, StoreError> Database::end() {
  if (const auto error = stopped()) return std::unexpected(*error);
  if (const auto status = write_witness(); !status.ok()) {
    return std::unexpected(stop(error_of(status)));
  }
  return {};
}

std::expected<void, OpenError> Database::open_families(const std::string& path, Access access,
                                                       std::vector<std::string> names) {
  for (const std::string& name : names) {
    const bool is_ours = std::ranges::find(kFamilyNames, name) != kFamilyNames.end();
    if (!is_ours && !month_of_family(name)) {
      return std::unexpected(OpenError{
          ErrorCode::store_layout, fmt::format("{} has an unknown column family {}", path, name)});
    }
  }
  for (const char* name : kFamilyNames) {
    if (std::ranges::find(names, name) != names.end()) continue;
    // What is opened for reading gets no new family.
    const bool may_be_absent = std::string_view(name) == kChangesName;
    if (access == Access::write || !may_be_absent) names.emplace_back(name);
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  descriptors.reserve(names.size());
  for (const std::string& name : names) descriptors.emplace_back(name, tuning_.family(name));
  rocksdb::DBOptions database_options = tuning_.database();
  database_options.listeners.push_back(std::make_shared<Listener>(*this));
  database_options.file_checksum_gen_factory = table_checksums();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      access == Access::write
          ? rocksdb::DB::Open(database_options, path, descriptors, &handles, &db)
          : rocksdb::DB::OpenForReadOnly(database_options, path, descriptors, &handles, &db);
  if (!status.ok()) return std::unexpected(open_error_of(status));
  db_.reset(db);
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    const auto fixed = std::ranges::find(kFamilyNames, handle->GetName());
    if (fixed != kFamilyNames.end()) {
      families_[static_cast<std::size_t>(fixed - kFamilyNames.begin())] = handle;
    } else {
      months_[*month_of_family(handle->GetName())] =
          MonthHandle(handle, [db](auto* held) { db->DestroyColumnFamilyHandle(held); });
    }
  }
  return {};
}

std::expected<void, OpenError> Database::check_layout(Access access) {
  rocksdb::PinnableSlice value;
  const auto found = read(handle(Family::meta), meta::kLayout, value);
  if (!found) return std::unexpected(OpenError{ErrorCode::store_corrupt, "layout is unreadable"});
  if (*found) {
    const auto layout = decode<std::uint64_t>(meta::kLayout, value.ToStringView());
    if (!layout) return std::unexpected(OpenError{ErrorCode::store_corrupt, "layout is damaged"});
    const std::uint64_t unsealed = *layout & ~kSealMark;
    const bool is_known = unsealed == kLayoutVersion || unsealed == kLayoutWithoutChanges;
    if (is_known && unsealed != *layout) return check_seal(access);
    if (is_known && (*layout == kLayoutVersion || access == Access::read_only)) return {};
    if (is_known) return write_layout();
    return std::unexpected(OpenError{
        ErrorCode::store_layout,
        fmt::format("layout {} is stored, this program knows layout {}", *layout, kLayoutVersion)});
  }
  // Without a layout the database is new, or it is somebody else's.
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    if (family == nullptr) continue;
    const std::unique_ptr<rocksdb::Iterator> all(db_->NewIterator(scan_options(), family));
    all->SeekToFirst();
    if (all->Valid() || !all->status().ok()) {
      return std::unexpected(OpenError{ErrorCode::store_layout, "no layout beside stored data"});
    }
  }
  if (access == Access::read_only) {
    return std::unexpected(OpenError{ErrorCode::store_layout, "the store is empty"});
  }
  return write_layout();
}

std::expected<void, OpenError> Database::write_layout() {
  WriteSet writes;
  writes.put(handle(Family::meta), meta::kLayout, kLayoutVersion);
  if (!write(writes)) return std::unexpected(OpenError{ErrorCode::store_failed, "layout"});
  return {};
}

std::expected<void, OpenError> Database::check_seal(Access access) const {
  if (access == Access::read_only || options_.seal_check == SealCheck::ignored) return {};
  rocksdb::PinnableSlice value;
  const auto found = read(handle(Family::meta), meta::kSealed, value);
  const auto target = found && *found ? decode<std::string>(meta::kSealed, value.ToStringView())
                                      : std::unexpected(DecodeError::corrupt);
  if (!target) return std::unexpected(OpenError{ErrorCode::store_corrupt, "seal is damaged"});
  return std::unexpected(
      OpenError{ErrorCode::store_sealed, fmt::format("this store was moved to {}", *target)});
}

Database::~Database() {
  if (!db_) return;
  {
    const std::lock_guard lock(months_mutex_);
    months_.clear();
  }
  for (rocksdb::ColumnFamilyHandle* handle : families_) {
    if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle);
  }
  db_->Close().PermitUncheckedError();
}

MonthHandle Database::month(Month month) const {
  const std::lock_guard lock(months_mutex_);
  const auto found = months_.find(month);
  return found == months_.end() ? nullptr : found->second;
}

std::vector<std::pair<Month, MonthHandle>> Database::months() const {
  const std::lock_guard lock(months_mutex_);
  return {months_.rbegin(), months_.rend()};
}

std::expected<rocksdb::ColumnFamilyHandle*, StoreError> Database::ensure_month(Month month) {
  if (last_month_.second != nullptr && last_month_.first == month) return last_month_.second;
  if (const MonthHandle existing = this->month(month)) {
    last_month_ = {month, existing.get()};
    return existing.get();
  }
  if (const auto error = stopped()) return std::unexpected(*error);
  const std::string name = family_of_month(month);
  rocksdb::ColumnFamilyHandle* made = nullptr;
  const rocksdb::Status status = db_->CreateColumnFamily(tuning_.family(name), name, &made);
  if (!status.ok()) return std::unexpected(stop(error_of(status)));
  const std::lock_guard lock(months_mutex_);
  months_[month] =
      MonthHandle(made, [db = db_.get()](auto* held) { db->DestroyColumnFamilyHandle(held); });
  last_month_ = {month, made};
  return made;
}

std::expected<void, StoreError> Database::drop_month(Month month) {
  if (const auto error = stopped()) return std::unexpected(*error);
  const MonthHandle dropped = this->month(month);
  if (!dropped) return {};
  if (last_month_.first == month) last_month_ = {};
  const rocksdb::Status status = db_->DropColumnFamily(dropped.get());
  if (!status.ok()) return std::unexpected(stop(error_of(status)));
  const std::lock_guard lock(months_mutex_);
  months_.erase(month);
  return {};
}

std::expected<void, StoreError> Database::write(WriteSet& writes) {
  if (const auto error = stopped()) return std::unexpected(*error);
  batch_.Clear();
  rocksdb::WriteOptions synced;
  synced.sync = true;
  rocksdb::Status status = writes.move_into(batch_);
  if (status.ok()) status = db_->Write(synced, &batch_);
  if (status.ok() && files_->changed()) status = write_witness();
  writes.clear();
  if (!status.ok()) return std::unexpected(stop(error_of(status)));
  // A background error that was noticed during the write makes its success worthless.
  if (const auto error = stopped()) return std::unexpected(*error);
  return {};
}

std::expected<bool, StoreError> Database::read(rocksdb::ColumnFamilyHandle* family,
                                               std::string_view key,
                                               rocksdb::PinnableSlice& value) const {
  value.Reset();
  const rocksdb::Status status = db_->Get({}, family, key, &value);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return std::unexpected(error_of(status));
  return true;
}

StoreError Database::stop(StoreError error) {
  int running = -1;
  if (stopped_.compare_exchange_strong(running, static_cast<int>(error))) return error;
  return static_cast<StoreError>(running);
}

std::optional<StoreError> Database::stopped() const {
  const int error = stopped_.load();
  if (error < 0) return std::nullopt;
  return static_cast<StoreError>(error);
}

void Database::set_wall(domain::Instant now) {
  if (now.us > wall_us_->load()) wall_us_->store(now.us);
}

}  // namespace penstock::rocksdb_store
