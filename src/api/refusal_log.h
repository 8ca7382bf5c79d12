#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "domain/error_code.h"
#include "domain/ids.h"
#include "ports/clock.h"
#include "ports/log.h"

namespace penstock::api {

/// Writes refused requests to the log at info level, sampled: the first few of each code in each
/// second, so that a flood of refusals is seen and does not flood the log. At debug level, all.
/// Thread-safe; under a race a line more or less is written.
class RefusalLog {
 public:
  static constexpr std::int64_t kLinesPerSecond = 5;

  /// Borrows both.
  RefusalLog(ports::Log& log, ports::Clock& clock) : log_(log), clock_(clock) {}

  /// `detail` is of this occurrence and holds nothing of the request; may be empty.
  void refused(domain::ErrorCode code, std::string_view detail,
               const domain::CorrelationId& correlation);

 private:
  struct Window {
    std::atomic<std::int64_t> second{-1};
    std::atomic<std::int64_t> lines{0};
  };
  static constexpr std::size_t kCodes = [] {
    std::size_t count = 0;
#define X(name, text, status, title) ++count;
    PENSTOCK_ERROR_CODES(X)
#undef X
    return count;
  }();

  bool is_due(domain::ErrorCode code);

  ports::Log& log_;
  ports::Clock& clock_;
  std::array<Window, kCodes> windows_;
};

}  // namespace penstock::api
