#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::domain {

/// An ISO 4217 currency: three upper-case letters of the active list, with its minor digits.
class Currency {
 public:
  Currency() = default;

  /// The currency with this upper-case code, if it is on the list of active ISO 4217 codes and has
  /// a minor unit (no metals, no units of account, no test codes).
  static std::optional<Currency> parse(std::string_view code);
  static Currency usd();

  std::string_view code() const { return {code_, 3}; }
  /// Digits after the decimal point: 2 for USD, 0 for JPY, 3 for KWD.
  int minor_digits() const { return minor_digits_; }
  bool operator==(const Currency&) const = default;

 private:
  char code_[3] = {'U', 'S', 'D'};
  std::int8_t minor_digits_ = 2;
};

enum class MoneyError { malformed, negative, too_precise, too_large };

/// An amount in a currency's minor units. Never a floating-point number.
struct Money {
  std::int64_t minor_units = 0;
  Currency currency;

  bool operator==(const Money&) const = default;
};

/// Reads a decimal exactly ("10", "10.0", "1e1", "0.10"), as JSON writes numbers, into minor units.
/// Trailing zeros beyond the currency's digits are allowed; any other digit there is too_precise.
/// Bounded by limits.h's kMaxAmountMinor. "-0" is zero. Where several errors hold, the first in the
/// order of MoneyError is told. O(length of the text) whatever the exponent says, no allocation.
std::expected<std::int64_t, MoneyError> parse_amount(std::string_view decimal, Currency currency);

/// The decimal form with exactly the currency's digits: "20.00", "-0.05", "500" for JPY.
std::string format_amount(Money money);
void append_amount(Money money, std::string& out);

/// Product and sum that say no instead of overflowing: nothing outside +-kMaxAmountMinor.
std::optional<std::int64_t> multiply_amount(std::int64_t minor_units, std::int64_t quantity);
std::optional<std::int64_t> add_amounts(std::int64_t left_minor, std::int64_t right_minor);

}  // namespace penstock::domain
