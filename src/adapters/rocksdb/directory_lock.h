#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "adapters/rocksdb/rocks_store_options.h"

namespace penstock::rocksdb_store {

/// A lock on the store's directory itself, not on a file in it: who removes or replaces files lets
/// nobody else in. It holds by whichever path the directory is reached, within a machine, and goes
/// with its process. Not thread-safe; movable.
class DirectoryLock {
 public:
  enum class Mode : std::uint8_t {
    exclusive,  ///< to write: the directory is made where it is missing, and tried by writing
    shared,     ///< to read what nobody changes
  };

  /// Locks the directory `path`. A directory that is made has the mode 0700, and its name and those
  /// above it that were made are durable. Fails with store_locked where another process has it, and
  /// else as `access_error` says.
  static std::expected<DirectoryLock, OpenError> take(const std::string& path, Mode mode);

  DirectoryLock() = default;
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int directory) : directory_(directory) {}

  int directory_ = -1;
};

/// An errno of a file operation as the error of a start: disk_full for ENOSPC and EDQUOT,
/// store_inaccessible for what a person has to allow (EACCES, EROFS, EMFILE and the like),
/// store_failed for the rest. `what` begins the detail: "cannot make DIR".
OpenError access_error(std::string what, int error);

/// The same of a message of RocksDB, which ends in the system's text for the errno.
OpenError access_error(std::string message);

}  // namespace penstock::rocksdb_store
