#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "adapters/rocksdb/store_witness.h"

namespace penstock::rocksdb_store {

/// What of the store's logs and manifest was synced, as the file system underneath RocksDB saw it.
/// Thread-safe.
class SyncedFiles {
 public:
  /// Whether something was synced since the last `take` that a witness has to name: a log that is
  /// new, or the manifest. That a log grew is not told.
  bool changed() const { return changed_.load(std::memory_order_relaxed); }

  /// Manifest and logs of the witness as of now, with `identity` and `sequence`.
  Witness take(std::string identity, std::uint64_t sequence);

  /// A sync found the file `name` with so many bytes.
  void synced(const std::string& name, std::uint64_t bytes);
  void removed(const std::string& name);
  /// CURRENT names this manifest from here on.
  void current(const std::string& manifest);

 private:
  std::mutex mutex_;
  std::atomic<bool> changed_{false};
  Witness seen_;
  std::map<std::uint64_t, std::uint64_t> manifests_;  ///< number -> synced bytes
};

/// The files of `base`, which it tells `files` about. RocksDB keeps it as long as it needs it.
std::unique_ptr<rocksdb::Env> watched_env(rocksdb::Env& base, std::shared_ptr<SyncedFiles> files);

}  // namespace penstock::rocksdb_store
