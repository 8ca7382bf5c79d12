#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "ports/clock.h"
#include "ports/log.h"

namespace penstock::system {

/// "debug", "info", "warning", "error".
std::string_view to_string(ports::LogLevel level);
std::optional<ports::LogLevel> parse_log_level(std::string_view text);

/// Lines that wait to be written are at most this long together; beyond it lines are dropped, and
/// counted in a line of their own, rather than stall an order.
inline constexpr std::size_t kMaxLogBacklogBytes = std::size_t{4} * 1024 * 1024;

/// One JSON object a line: time (RFC 3339), level, message, then the fields in the order given; an
/// empty field is left out. Whole lines leave in one write: at once from `warning` upwards, else
/// together with what a few milliseconds brought. Bytes that are not UTF-8 are replaced, so that a
/// line is always JSON. Thread-safe; what was written before the destructor ends is out.
class JsonLog : public ports::Log {
 public:
  /// Writes to `descriptor`, which stays the caller's.
  JsonLog(ports::Clock& clock, ports::LogLevel level, int descriptor);
  ~JsonLog() override;
  JsonLog(const JsonLog&) = delete;
  JsonLog& operator=(const JsonLog&) = delete;

  bool enabled(ports::LogLevel level) const override { return level >= level_; }
  void write(ports::LogLevel level, std::string_view message,
             std::initializer_list<ports::LogField> fields) override;
  /// Returns when every line so far was handed to the descriptor.
  void flush();

 private:
  void run();
  void append_dropped_line();

  ports::Clock& clock_;
  ports::LogLevel level_;
  int descriptor_;
  std::mutex mutex_;  ///< guards what follows it
  std::condition_variable changed_;
  std::string waiting_;
  std::uint64_t dropped_ = 0;
  bool stopping_ = false;
  std::mutex writing_;  ///< held while bytes leave; taken before mutex_
  std::thread writer_;
};

}  // namespace penstock::system
