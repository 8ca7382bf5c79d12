#include "net/json_decimal.h"

#include <charconv>
#include <cstddef>

namespace penstock::net {
namespace {

constexpr std::size_t kMaxExponentDigits = 15;
/// ECMAScript's Number::toString switches to the scientific form outside these.
constexpr std::int64_t kPlainIntegerDigits = 21;
constexpr std::int64_t kPlainLeadingZeros = 6;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view take_digits(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  const std::string_view digits = text.substr(0, length);
  text.remove_prefix(length);
  return digits;
}

std::optional<std::int64_t> take_exponent(std::string_view& text) {
  if (text.empty()) return 0;
  if (text.front() != 'e' && text.front() != 'E') return std::nullopt;
  text.remove_prefix(1);
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  std::string_view digits = take_digits(text);
  if (digits.empty()) return std::nullopt;
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  if (digits.size() > kMaxExponentDigits) return std::nullopt;
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return negative ? -value : value;
}

}  // namespace

std::optional<JsonDecimal> parse_decimal(std::string_view text) {
  JsonDecimal result;
  if (!text.empty() && text.front() == '-') {
    result.negative = true;
    text.remove_prefix(1);
  }
  const std::string_view whole = take_digits(text);
  if (whole.empty() || (whole.size() > 1 && whole.front() == '0')) return std::nullopt;
  std::string_view fraction;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    fraction = take_digits(text);
    if (fraction.empty()) return std::nullopt;
  }
  const std::optional<std::int64_t> exponent = take_exponent(text);
  if (!exponent || !text.empty()) return std::nullopt;

  result.digits.reserve(whole.size() + fraction.size());
  result.digits.append(whole).append(fraction);
  result.exponent = *exponent - static_cast<std::int64_t>(fraction.size());
  const std::size_t first = result.digits.find_first_not_of('0');
  if (first == std::string::npos) return JsonDecimal{};
  const std::size_t last = result.digits.find_last_not_of('0');
  result.exponent += static_cast<std::int64_t>(result.digits.size() - 1 - last);
  result.digits = result.digits.substr(first, last - first + 1);
  return result;
}

void append_canonical(const JsonDecimal& value, std::string& out) {
  if (value.digits.empty()) {
    out += '0';
    return;
  }
  if (value.negative) out += '-';
  const auto length = static_cast<std::int64_t>(value.digits.size());
  // The decimal point stands after this many digits.
  const std::int64_t point = length + value.exponent;
  if (value.exponent >= 0 && point <= kPlainIntegerDigits) {
    out.append(value.digits).append(static_cast<std::size_t>(value.exponent), '0');
    return;
  }
  if (point > 0 && point <= kPlainIntegerDigits) {
    out.append(value.digits, 0, static_cast<std::size_t>(point));
    out += '.';
    out.append(value.digits, static_cast<std::size_t>(point));
    return;
  }
  if (point <= 0 && point > -kPlainLeadingZeros) {
    out.append("0.").append(static_cast<std::size_t>(-point), '0').append(value.digits);
    return;
  }
  out += value.digits.front();
  if (length > 1) {
    out += '.';
    out.append(value.digits, 1);
  }
  out += 'e';
  out += point - 1 < 0 ? '-' : '+';
  out += std::to_string(point - 1 < 0 ? 1 - point : point - 1);
}

}  // namespace penstock::net
