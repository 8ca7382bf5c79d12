#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

namespace penstock::rocksdb_store {

/// What a write-ahead log's next operations meet.
enum class LogFault : std::uint8_t { none, append, sync, append_without_space };

/// The system's files, whose write-ahead log fails once when a test says so, and whose tables
/// cannot be written from then on. Counts the syncs, so that a retried one is seen. Thread-safe.
class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  FaultyFileSystem() : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  static const char* kClassName() { return "FaultyFileSystem"; }
  const char* Name() const override { return kClassName(); }

  void fail_next(LogFault fault) { fault_ = fault; }
  void fail_tables() { tables_fail_ = true; }
  int log_syncs() const { return log_syncs_; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    if (tables_fail_ && name.ends_with(".sst")) return rocksdb::IOStatus::IOError("no table");
    auto status = target()->NewWritableFile(name, options, file, debug);
    if (status.ok() && name.ends_with(".log")) {
      *file = std::make_unique<LogFile>(*this, std::move(*file));
    }
    return status;
  }

 private:
  class LogFile final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    LogFile(FaultyFileSystem& owner, std::unique_ptr<rocksdb::FSWritableFile>&& file)
        : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner) {}

    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      if (owner_.consume(LogFault::append)) return rocksdb::IOStatus::IOError("append failed");
      if (owner_.consume(LogFault::append_without_space)) return rocksdb::IOStatus::NoSpace("full");
      return FSWritableFileOwnerWrapper::Append(data, options, debug);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
      ++owner_.log_syncs_;
      if (owner_.consume(LogFault::sync)) return rocksdb::IOStatus::IOError("sync failed");
      return FSWritableFileOwnerWrapper::Sync(options, debug);
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* debug) override {
      return Sync(options, debug);
    }

   private:
    FaultyFileSystem& owner_;
  };

  bool consume(LogFault fault) { return fault_.compare_exchange_strong(fault, LogFault::none); }

  std::atomic<LogFault> fault_ = LogFault::none;
  std::atomic<bool> tables_fail_ = false;
  std::atomic<int> log_syncs_ = 0;
};

}  // namespace penstock::rocksdb_store
