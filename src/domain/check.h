#pragma once

/// PENSTOCK_CHECK(condition, "message"): stops the process, in every build, where a bug would
/// otherwise become wrong money or stock. Not for input, not for failures of the world.
#define PENSTOCK_CHECK(condition, message)                                       \
  do {                                                                           \
    if (!(condition)) [[unlikely]]                                               \
      ::penstock::domain::check_failed(#condition, message, __FILE__, __LINE__); \
  } while (false)

namespace penstock::domain {

/// Prints where and why to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* message, const char* file,
                               int line);

}  // namespace penstock::domain
