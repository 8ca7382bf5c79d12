#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace penstock::domain {

enum class DecimalError { malformed, negative, too_precise, too_large };

struct DecimalForm {
  int fraction_digits = 0;   ///< the result's unit is 10^-fraction_digits; 0..18
  std::int64_t maximum = 0;  ///< in that unit; 0..10^18
};

/// Reads a number of the JSON grammar (RFC 8259, 6) exactly as value * 10^fraction_digits, without
/// a floating-point number between. Trailing zeros beyond the digits are allowed ("10.000" with 2),
/// any other digit there is too_precise; above `maximum` is too_large; "-0" is zero. Where several
/// hold, the first of malformed, negative, too_precise, too_large is told.
/// O(length of the text), whatever the exponent says. No allocation. Thread-safe.
std::expected<std::int64_t, DecimalError> parse_decimal(std::string_view text, DecimalForm form);

}  // namespace penstock::domain
