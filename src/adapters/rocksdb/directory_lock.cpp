#include "adapters/rocksdb/directory_lock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::rocksdb_store {
namespace {

using domain::ErrorCode;
using Done = std::expected<void, OpenError>;

constexpr mode_t kOwnerOnly = 0700;
constexpr const char* kProbe = "penstock-probe";

/// What a person can allow or change, and no disk is broken by.
constexpr std::array kAccessErrors{EACCES, EPERM,  EROFS, EMFILE,       ENFILE, ENOTDIR,
                                   ENOENT, EISDIR, ELOOP, ENAMETOOLONG, ENOLCK, EOPNOTSUPP,
                                   EEXIST, EBUSY,  ENXIO, ENODEV,       EINVAL};

ErrorCode code_of(int error) {
  if (error == ENOSPC || error == EDQUOT) return ErrorCode::disk_full;
  return std::ranges::find(kAccessErrors, error) != kAccessErrors.end()
             ? ErrorCode::store_inaccessible
             : ErrorCode::store_failed;
}

std::string_view advice_for(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return ": the user of this process must own the data directory";
    case EROFS:
      return ": the file system is mounted read-only";
    case EMFILE:
    case ENFILE:
      return ": raise the limit of open files (ulimit -n)";
    default:
      return "";
  }
}

/// Closes a descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

std::unexpected<OpenError> failed(std::string what) {
  const int error = errno;
  return std::unexpected(access_error(std::move(what), error));
}

/// Makes the directory and those above it that are missing, and makes their names durable: RocksDB
/// syncs the names in its directory, but not the directory's own, and without it all that was
/// acknowledged is gone. Names that a start before this one made may not be durable yet either.
Done make_directories(const std::string& path) {
  std::error_code unknown;
  std::filesystem::path const absolute =
      std::filesystem::absolute(path, unknown).lexically_normal();
  if (unknown) {
    return std::unexpected(access_error(fmt::format("cannot find {}", path), unknown.value()));
  }
  std::vector<std::filesystem::path> chain;  // from the root on
  for (std::filesystem::path at = absolute; at.has_relative_path(); at = at.parent_path()) {
    if (at.has_filename()) chain.push_back(at);
  }
  std::ranges::reverse(chain);
  for (const std::filesystem::path& directory : chain) {
    struct stat status{};
    const bool exists = ::stat(directory.c_str(), &status) == 0;
    if (!exists && errno != ENOENT)
      return failed(fmt::format("cannot reach {}", directory.native()));
    if (exists && !S_ISDIR(status.st_mode)) {
      return std::unexpected(
          access_error(fmt::format("{} is no directory", directory.native()), ENOTDIR));
    }
    if (!exists && ::mkdir(directory.c_str(), kOwnerOnly) != 0 && errno != EEXIST) {
      return failed(fmt::format("cannot make the directory {}", directory.native()));
    }
    const Descriptor above(
        ::open(directory.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // One that may not be read was not made by this program, nor anything in it.
    if (above.number() < 0 && exists) continue;
    if (above.number() < 0 || (::fsync(above.number()) != 0 && !exists)) {
      return failed(fmt::format("cannot sync {}", directory.parent_path().native()));
    }
  }
  return {};
}

/// Makes, syncs and removes a file, as the store will: what does not work is told by its errno.
Done try_writing(int directory, const std::string& path) {
  const Descriptor probe(::openat(directory, kProbe, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (probe.number() < 0) return failed(fmt::format("cannot write in {}", path));
  const std::array<char, 4096> bytes{};
  const ssize_t written = ::write(probe.number(), bytes.data(), bytes.size());
  const bool is_written =
      written == static_cast<ssize_t>(bytes.size()) && ::fsync(probe.number()) == 0;
  if (written >= 0 && !is_written && errno == 0) errno = ENOSPC;
  auto done = is_written ? Done{} : failed(fmt::format("cannot write in {}", path));
  if (::unlinkat(directory, kProbe, 0) != 0 && done) {
    return failed(fmt::format("cannot remove files in {}", path));
  }
  return done;
}

}  // namespace

OpenError access_error(std::string what, int error) {
  return {code_of(error),
          fmt::format("{}: {} (errno {}){}", what, std::generic_category().message(error), error,
                      advice_for(error))};
}

OpenError access_error(std::string message) {
  for (const int error : kAccessErrors) {
    if (message.ends_with(std::generic_category().message(error))) {
      return {code_of(error), message + std::string(advice_for(error))};
    }
  }
  return {ErrorCode::store_failed, std::move(message)};
}

std::expected<DirectoryLock, OpenError> DirectoryLock::take(const std::string& path, Mode mode) {
  if (mode == Mode::exclusive) {
    if (const auto made = make_directories(path); !made) return std::unexpected(made.error());
  }
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number() < 0) return failed(fmt::format("cannot open the directory {}", path));
  const int wanted = mode == Mode::exclusive ? LOCK_EX : LOCK_SH;
  if (::flock(directory.number(), wanted | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed(fmt::format("cannot lock the directory {}", path));
    return std::unexpected(OpenError{
        ErrorCode::store_locked, fmt::format("another process has the store in {} open", path)});
  }
  if (mode == Mode::exclusive) {
    if (const auto tried = try_writing(directory.number(), path); !tried) {
      return std::unexpected(tried.error());
    }
  }
  return DirectoryLock(directory.release());
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : directory_(std::exchange(other.directory_, -1)) {}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  if (this == &other) return *this;
  if (directory_ >= 0) ::close(directory_);
  directory_ = std::exchange(other.directory_, -1);
  return *this;
}

DirectoryLock::~DirectoryLock() {
  if (directory_ >= 0) ::close(directory_);
}

}  // namespace penstock::rocksdb_store
