#include "domain/decimal.h"

#include <cstddef>
#include <optional>

#include "domain/digits.h"

namespace penstock::domain {
namespace {

// Larger than any shift that the digits of a text in memory could make up for, and far from
// overflow when such a length is added.
constexpr std::int64_t kExponentCeiling = 1'000'000'000'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The pieces of a JSON number; `integer` and `fraction` hold digits only.
struct Pieces {
  bool minus = false;
  std::string_view integer;
  std::string_view fraction;
  std::int64_t exponent = 0;  // saturated at +-kExponentCeiling
};

std::string_view take_digits(std::string_view& rest) {
  std::size_t count = 0;
  while (count < rest.size() && is_digit(rest[count])) ++count;
  const std::string_view digits = rest.substr(0, count);
  rest.remove_prefix(count);
  return digits;
}

/// Reads "[+-]digits" after an 'e'; nothing if there is no digit.
std::optional<std::int64_t> take_exponent(std::string_view& rest) {
  bool minus = false;
  if (!rest.empty() && (rest.front() == '+' || rest.front() == '-')) {
    minus = rest.front() == '-';
    rest.remove_prefix(1);
  }
  const std::string_view digits = take_digits(rest);
  if (digits.empty()) return std::nullopt;
  std::int64_t exponent = 0;
  for (const char digit : digits) {
    exponent = exponent * 10 + (digit - '0');
    if (exponent > kExponentCeiling) exponent = kExponentCeiling;
  }
  return minus ? -exponent : exponent;
}

std::optional<Pieces> split(std::string_view rest) {
  Pieces pieces;
  if (!rest.empty() && rest.front() == '-') {
    pieces.minus = true;
    rest.remove_prefix(1);
  }
  pieces.integer = take_digits(rest);
  if (pieces.integer.empty()) return std::nullopt;
  if (pieces.integer.size() > 1 && pieces.integer.front() == '0') return std::nullopt;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    pieces.fraction = take_digits(rest);
    if (pieces.fraction.empty()) return std::nullopt;
  }
  if (!rest.empty() && (rest.front() == 'e' || rest.front() == 'E')) {
    rest.remove_prefix(1);
    const std::optional<std::int64_t> exponent = take_exponent(rest);
    if (!exponent) return std::nullopt;
    pieces.exponent = *exponent;
  }
  if (!rest.empty()) return std::nullopt;
  return pieces;
}

}  // namespace

std::expected<std::int64_t, DecimalError> parse_decimal(std::string_view text, DecimalForm form) {
  const std::optional<Pieces> pieces = split(text);
  if (!pieces) return std::unexpected(DecimalError::malformed);

  // Integer and fraction are looked at as one run of digits; what counts lies between its first
  // and its last digit that is not zero.
  const std::size_t split_at = pieces->integer.size();
  const std::size_t total = split_at + pieces->fraction.size();
  const auto digit = [&](std::size_t i) {
    return (i < split_at ? pieces->integer[i] : pieces->fraction[i - split_at]) - '0';
  };
  std::size_t first = 0;
  while (first < total && digit(first) == 0) ++first;
  if (first == total) return 0;
  if (pieces->minus) return std::unexpected(DecimalError::negative);
  std::size_t end = total;
  while (digit(end - 1) == 0) --end;

  // The power of ten, in units of the result, of the last digit that counts.
  const std::int64_t scale = pieces->exponent + static_cast<std::int64_t>(split_at) -
                             static_cast<std::int64_t>(end) + form.fraction_digits;
  if (scale < 0) return std::unexpected(DecimalError::too_precise);
  const std::int64_t width = static_cast<std::int64_t>(end - first) + scale;
  if (width > 19) return std::unexpected(DecimalError::too_large);
  std::uint64_t value = 0;  // at most 19 digits: below 2^64
  for (std::size_t i = first; i < end; ++i) value = value * 10 + static_cast<unsigned>(digit(i));
  value *= static_cast<std::uint64_t>(kPowersOfTen[static_cast<std::size_t>(scale)]);
  if (value > static_cast<std::uint64_t>(form.maximum)) {
    return std::unexpected(DecimalError::too_large);
  }
  return static_cast<std::int64_t>(value);
}

}  // namespace penstock::domain
