#include "domain/money.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "domain/decimal.h"
#include "domain/digits.h"
#include "domain/limits.h"

namespace penstock::domain {
namespace {

/// ISO 4217, list one (active codes and funds) as of 2026, sorted, with the minor unit. Left out
/// are the codes whose minor unit is "N.A.": metals, XDR, XSU, XUA, XTS, the code for no currency,
/// and the bond units.
constexpr std::string_view kCurrencies =
    "AED2AFN2ALL2AMD2AOA2ARS2AUD2AWG2AZN2BAM2BBD2BDT2BHD3BIF0BMD2BND2BOB2BOV2BRL2BSD2BTN2BWP2BYN2"
    "BZD2CAD2CDF2CHE2CHF2CHW2CLF4CLP0CNY2COP2COU2CRC2CUP2CVE2CZK2DJF0DKK2DOP2DZD2EGP2ERN2ETB2EUR2"
    "FJD2FKP2GBP2GEL2GHS2GIP2GMD2GNF0GTQ2GYD2HKD2HNL2HTG2HUF2IDR2ILS2INR2IQD3IRR2ISK0JMD2JOD3JPY0"
    "KES2KGS2KHR2KMF0KPW2KRW0KWD3KYD2KZT2LAK2LBP2LKR2LRD2LSL2LYD3MAD2MDL2MGA2MKD2MMK2MNT2MOP2MRU2"
    "MUR2MVR2MWK2MXN2MXV2MYR2MZN2NAD2NGN2NIO2NOK2NPR2NZD2OMR3PAB2PEN2PGK2PHP2PKR2PLN2PYG0QAR2RON2"
    "RSD2RUB2RWF0SAR2SBD2SCR2SDG2SEK2SGD2SHP2SLE2SOS2SRD2SSP2STN2SVC2SYP2SZL2THB2TJS2TMT2TND3TOP2"
    "TRY2TTD2TWD2TZS2UAH2UGX0USD2USN2UYI0UYU2UYW4UZS2VED2VES2VND0VUV0WST2XAD2XAF0XCD2XCG2XOF0XPF0"
    "YER2ZAR2ZMW2ZWG2";
constexpr std::size_t kEntrySize = 4;
constexpr std::size_t kCurrencyCount = kCurrencies.size() / kEntrySize;
static_assert(kCurrencies.size() % kEntrySize == 0);

constexpr std::uint32_t pack(std::string_view code) {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(code[0])) << 16 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(code[1])) << 8 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(code[2]));
}

constexpr std::array<std::uint32_t, kCurrencyCount> kPackedCodes = [] {
  std::array<std::uint32_t, kCurrencyCount> packed{};
  for (std::size_t i = 0; i < packed.size(); ++i) {
    packed[i] = pack(kCurrencies.substr(i * kEntrySize, 3));
  }
  return packed;
}();
static_assert(std::ranges::is_sorted(kPackedCodes), "the search is binary");

MoneyError to_money_error(DecimalError error) {
  switch (error) {
    case DecimalError::malformed:
      return MoneyError::malformed;
    case DecimalError::negative:
      return MoneyError::negative;
    case DecimalError::too_precise:
      return MoneyError::too_precise;
    case DecimalError::too_large:
      return MoneyError::too_large;
  }
  return MoneyError::malformed;
}

std::optional<std::int64_t> within_bounds(std::int64_t amount) {
  if (amount > limits::kMaxAmountMinor || amount < -limits::kMaxAmountMinor) return std::nullopt;
  return amount;
}

}  // namespace

std::optional<Currency> Currency::parse(std::string_view code) {
  if (code.size() != 3) return std::nullopt;
  const std::uint32_t packed = pack(code);
  const auto found = std::ranges::lower_bound(kPackedCodes, packed);
  if (found == kPackedCodes.end() || *found != packed) return std::nullopt;
  const auto index = static_cast<std::size_t>(found - kPackedCodes.begin());
  Currency currency;
  std::copy(code.begin(), code.end(), currency.code_);
  currency.minor_digits_ = static_cast<std::int8_t>(kCurrencies[index * kEntrySize + 3] - '0');
  return currency;
}

Currency Currency::usd() {
  return {};
}

std::expected<std::int64_t, MoneyError> parse_amount(std::string_view decimal, Currency currency) {
  const std::expected<std::int64_t, DecimalError> amount = parse_decimal(
      decimal, {.fraction_digits = currency.minor_digits(), .maximum = limits::kMaxAmountMinor});
  if (!amount) return std::unexpected(to_money_error(amount.error()));
  return *amount;
}

std::string format_amount(Money money) {
  std::string text;
  append_amount(money, text);
  return text;
}

void append_amount(Money money, std::string& out) {
  // 19 digits of 2^63, a point and a sign; the digits are written from the right.
  char text[24];
  char* const end = text + sizeof text;
  char* at = end;
  auto rest = static_cast<std::uint64_t>(money.minor_units);
  if (money.minor_units < 0) rest = 0 - rest;
  const int minor_digits = money.currency.minor_digits();
  for (int i = 0; i < minor_digits; ++i, rest /= 10) *--at = static_cast<char>('0' + rest % 10);
  if (minor_digits > 0) *--at = '.';
  do {
    *--at = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (money.minor_units < 0) *--at = '-';
  out.append(at, end);
}

std::optional<std::int64_t> multiply_amount(std::int64_t minor_units, std::int64_t quantity) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(minor_units, quantity, &product)) return std::nullopt;
  return within_bounds(product);
}

std::optional<std::int64_t> add_amounts(std::int64_t left_minor, std::int64_t right_minor) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(left_minor, right_minor, &sum)) return std::nullopt;
  return within_bounds(sum);
}

}  // namespace penstock::domain
