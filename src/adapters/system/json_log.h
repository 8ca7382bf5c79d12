#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ports/clock.h"
#include "ports/log.h"

namespace penstock::system {

class LogWriter;

/// "debug", "info", "warning", "error".
std::string_view to_string(ports::LogLevel level);
std::optional<ports::LogLevel> parse_log_level(std::string_view text);

/// Lines that wait to be written are at most this long together; beyond it lines are dropped, and
/// counted in a line of their own, rather than stall an order.
inline constexpr std::size_t kMaxLogBacklogBytes = std::size_t{4} * 1024 * 1024;
/// The end of a log waits at most this long for its last lines to be taken.
inline constexpr std::chrono::milliseconds kLastLogLines{1'000};

/// One JSON object a line: time (RFC 3339), level, message, then the fields in the order given; an
/// empty text is left out. Bytes that are not UTF-8 are replaced, so that a line is always JSON.
///
/// A thread of its own writes: at once from `warning` upwards, else together with what a few
/// milliseconds brought. No caller ever waits for the descriptor, be it a pipe that nobody reads or
/// a full disk. Lines are lost where kMaxLogBacklogBytes wait already, or where the descriptor
/// refuses them; their number stands in a line of its own as soon as it takes lines again.
/// Thread-safe.
class JsonLog : public ports::Log {
 public:
  /// Writes to a copy of `descriptor`, which stays the caller's. Throws std::system_error where no
  /// thread can be started.
  JsonLog(ports::Clock& clock, ports::LogLevel level, int descriptor);
  /// Waits up to kLastLogLines until every line is out.
  ~JsonLog() override;
  JsonLog(const JsonLog&) = delete;
  JsonLog& operator=(const JsonLog&) = delete;

  bool enabled(ports::LogLevel level) const override { return level >= level_; }
  void write(ports::LogLevel level, std::string_view message,
             std::initializer_list<ports::LogField> fields) override;
  std::uint64_t dropped() const override;
  /// Waits up to `longest` until the descriptor has taken every line so far; whether it has.
  bool flush(std::chrono::milliseconds longest);

 private:
  ports::Clock& clock_;
  ports::LogLevel level_;
  std::shared_ptr<LogWriter> writer_;
};

}  // namespace penstock::system
