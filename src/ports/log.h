#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace penstock::ports {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// One field of a line. Text only; the names are api.md's: correlation_id, tenant_id, order_id,
/// stage, attempt, code.
struct LogField {
  std::string_view name;
  std::string_view value;
};

/// Structured log. Thread-safe. Never given a secret or customer data beyond ids.
class Log {
 public:
  virtual ~Log() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view message,
                     std::initializer_list<LogField> fields) = 0;
};

}  // namespace penstock::ports
