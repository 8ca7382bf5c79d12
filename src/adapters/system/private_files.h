#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>

namespace penstock::system {

/// Why a file could not be made private.
struct PrivateError {
  std::filesystem::path file;
  int error = 0;  ///< errno
};

/// Takes from group and others all that they may do with `path`; of a directory also with the files
/// in it, however deep. What a symbolic link names stays as it is. Returns how many were narrowed;
/// a path that is not there counts nothing. Fails on the first file that this user may not change.
std::expected<std::size_t, PrivateError> make_private(const std::filesystem::path& path);

}  // namespace penstock::system
