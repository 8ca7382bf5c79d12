#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::net {

/// A decimal number, exact: (-1)^negative * digits * 10^exponent. `digits` has neither leading
/// nor trailing zeros, so that two numbers are equal exactly where their fields are; zero has no
/// digits, no sign and exponent 0.
struct JsonDecimal {
  bool negative = false;
  std::string digits{};
  std::int64_t exponent = 0;

  bool operator==(const JsonDecimal&) const = default;
};

/// Reads a JSON number (RFC 8259 section 6). nullopt where the text is none, or where its
/// exponent has more than 15 significant digits. Memory is linear in the text, never in the
/// exponent's value.
std::optional<JsonDecimal> parse_decimal(std::string_view number_text);

/// Appends the number's one canonical text, laid out as ECMAScript does it (plain notation for
/// 1e-7 <= |x| < 1e21, else d.ddde+x), but with every digit of the exact value.
void append_canonical(const JsonDecimal& value, std::string& out);

}  // namespace penstock::net
