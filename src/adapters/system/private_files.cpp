#include "adapters/system/private_files.h"

#include <cerrno>
#include <system_error>

#include <sys/stat.h>

namespace penstock::system {
namespace {

using Narrowed = std::expected<std::size_t, PrivateError>;

Narrowed narrow(const std::filesystem::path& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return 0;
    return std::unexpected(PrivateError{.file = path, .error = errno});
  }
  if (S_ISLNK(status.st_mode)) return 0;
  constexpr mode_t kOthers = S_IRWXG | S_IRWXO;
  if ((status.st_mode & kOthers) == 0) return 0;
  if (::chmod(path.c_str(), status.st_mode & 07777 & ~kOthers) != 0) {
    // Removed since it was listed: whoever did that has the store open.
    if (errno == ENOENT) return 0;
    return std::unexpected(PrivateError{.file = path, .error = errno});
  }
  return 1;
}

}  // namespace

Narrowed make_private(const std::filesystem::path& path) {
  auto narrowed = narrow(path);
  std::error_code failed;
  if (!narrowed || std::filesystem::is_symlink(path, failed) ||
      !std::filesystem::is_directory(path, failed)) {
    return narrowed;
  }
  std::filesystem::recursive_directory_iterator each(path, failed);
  for (; !failed && each != std::filesystem::recursive_directory_iterator();
       each.increment(failed)) {
    const auto more = narrow(each->path());
    if (!more) return more;
    *narrowed += *more;
  }
  if (failed) return std::unexpected(PrivateError{.file = path, .error = failed.value()});
  return narrowed;
}

}  // namespace penstock::system
