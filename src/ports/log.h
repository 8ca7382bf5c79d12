#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace penstock::ports {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// What a field holds: text, or a whole number, which stays a number in the line. Borrows its text.
class LogValue {
 public:
  template <std::convertible_to<std::string_view> Text>
  LogValue(const Text& text) : value_(std::string_view(text)) {}
  template <std::signed_integral Number>
  LogValue(Number number) : value_(std::int64_t{number}) {}
  template <std::unsigned_integral Number>
    requires(!std::same_as<Number, bool>)
  LogValue(Number number) : value_(std::uint64_t{number}) {}

  bool is_number() const { return !std::holds_alternative<std::string_view>(value_); }
  /// Appends the text, or the number's decimal digits.
  void append_to(std::string& out) const {
    if (const auto* const text = std::get_if<std::string_view>(&value_)) {
      out += *text;
    } else if (const auto* const number = std::get_if<std::int64_t>(&value_)) {
      out += std::to_string(*number);
    } else {
      out += std::to_string(std::get<std::uint64_t>(value_));
    }
  }
  std::string str() const {
    std::string text;
    append_to(text);
    return text;
  }
  /// "" for a number.
  std::string_view text() const {
    const auto* const text = std::get_if<std::string_view>(&value_);
    return text == nullptr ? std::string_view() : *text;
  }

 private:
  std::variant<std::string_view, std::int64_t, std::uint64_t> value_;
};

/// One field of a line. The names are api.md's: correlation_id, tenant_id, order_id, stage,
/// attempt, code. What is a number is given as one.
struct LogField {
  std::string_view name;
  LogValue value;
};

/// Structured log. Thread-safe. Never given a secret or customer data beyond ids. No call waits for
/// whoever reads the log: what does not fit is dropped and counted.
class Log {
 public:
  virtual ~Log() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view message,
                     std::initializer_list<LogField> fields) = 0;
  /// Lines that were lost since the start.
  virtual std::uint64_t dropped() const { return 0; }
};

}  // namespace penstock::ports
