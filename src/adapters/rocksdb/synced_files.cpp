#include "adapters/rocksdb/synced_files.h"

#include <utility>

#include "adapters/rocksdb/live_files.h"

namespace penstock::rocksdb_store {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

/// A log or a manifest. RocksDB writes one from one thread at a time, from its beginning on.
class WatchedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WatchedFile(std::string name, std::shared_ptr<SyncedFiles> files,
              std::unique_ptr<rocksdb::FSWritableFile>&& file)
      : FSWritableFileOwnerWrapper(std::move(file)),
        name_(std::move(name)),
        files_(std::move(files)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    bytes_ += data.size();
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& verification,
                  IODebugContext* debug) override {
    bytes_ += data.size();
    return FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return told(FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return told(FSWritableFileOwnerWrapper::Fsync(options, debug));
  }

 private:
  IOStatus told(IOStatus status) {
    if (status.ok()) files_->synced(name_, bytes_);
    return status;
  }

  std::string name_;
  std::shared_ptr<SyncedFiles> files_;
  std::uint64_t bytes_ = 0;  ///< appended
};

class WatchedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  WatchedFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base,
                    std::shared_ptr<SyncedFiles> files)
      : FileSystemWrapper(base), files_(std::move(files)) {}

  const char* Name() const override { return "penstock.WatchedFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* debug) override {
    auto status = target()->NewWritableFile(name, options, file, debug);
    if (status.ok() && (number_of_log(name) || number_of_manifest(name))) {
      *file = std::make_unique<WatchedFile>(name, files_, std::move(*file));
    }
    return status;
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions& options,
                      IODebugContext* debug) override {
    auto status = target()->DeleteFile(name, options, debug);
    if (status.ok()) files_->removed(name);
    return status;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    std::string manifest;
    if (to.ends_with("/CURRENT")) {
      // What it will say has to be read before it has its name.
      const auto read = rocksdb::ReadFileToString(target(), from, &manifest);
      if (!read.ok()) return read;
      while (manifest.ends_with('\n')) manifest.pop_back();
    }
    auto status = target()->RenameFile(from, to, options, debug);
    if (status.ok() && !manifest.empty()) files_->current(manifest);
    return status;
  }

 private:
  std::shared_ptr<SyncedFiles> files_;
};

}  // namespace

Witness SyncedFiles::take(std::string identity, std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  changed_.store(false, std::memory_order_relaxed);
  Witness witness = seen_;
  witness.identity = std::move(identity);
  witness.sequence = sequence;
  const auto manifest = manifests_.find(seen_.manifest);
  if (manifest != manifests_.end()) witness.manifest_bytes = manifest->second;
  return witness;
}

void SyncedFiles::synced(const std::string& name, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (const auto log = number_of_log(name)) {
    const auto [known, is_new] = seen_.logs.insert_or_assign(*log, bytes);
    if (is_new) changed_.store(true, std::memory_order_relaxed);
  } else if (const auto manifest = number_of_manifest(name)) {
    manifests_[*manifest] = bytes;
    changed_.store(true, std::memory_order_relaxed);
  }
}

void SyncedFiles::removed(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (const auto log = number_of_log(name)) seen_.logs.erase(*log);
  if (const auto manifest = number_of_manifest(name)) manifests_.erase(*manifest);
}

void SyncedFiles::current(const std::string& manifest) {
  const std::lock_guard lock(mutex_);
  const auto number = number_of_manifest(manifest);
  if (!number) return;
  seen_.manifest = *number;
  changed_.store(true, std::memory_order_relaxed);
}

std::unique_ptr<rocksdb::Env> watched_env(rocksdb::Env& base, std::shared_ptr<SyncedFiles> files) {
  return rocksdb::NewCompositeEnv(
      std::make_shared<WatchedFileSystem>(base.GetFileSystem(), std::move(files)));
}

}  // namespace penstock::rocksdb_store
