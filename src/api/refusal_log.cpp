#include "api/refusal_log.h"

namespace penstock::api {

void RefusalLog::refused(domain::ErrorCode code, std::string_view detail,
                         const domain::CorrelationId& correlation) {
  const bool all = log_.enabled(ports::LogLevel::debug);
  if (!all && (!log_.enabled(ports::LogLevel::info) || !is_due(code))) return;
  log_.write(ports::LogLevel::info, "request refused",
             {{.name = "correlation_id", .value = correlation.str()},
              {.name = "code", .value = domain::to_string(code)},
              {.name = "detail", .value = detail}});
}

bool RefusalLog::is_due(domain::ErrorCode code) {
  constexpr std::int64_t kMicroseconds = 1'000'000;
  Window& window = windows_.at(static_cast<std::size_t>(code));
  const std::int64_t second = clock_.now().wall.us / kMicroseconds;
  if (window.second.exchange(second, std::memory_order_relaxed) != second) {
    window.lines.store(0, std::memory_order_relaxed);
  }
  return window.lines.fetch_add(1, std::memory_order_relaxed) < kLinesPerSecond;
}

}  // namespace penstock::api
