#include "domain/decimal.h"

#include <string>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

using enum DecimalError;

constexpr std::int64_t kLargest = 1'000'000'000'000'000'000;

std::expected<std::int64_t, DecimalError> parse(std::string_view text, int digits,
                                                std::int64_t maximum = kLargest) {
  return parse_decimal(text, {.fraction_digits = digits, .maximum = maximum});
}

TEST(Decimal, ReadsWhatTheJsonGrammarAllows) {
  EXPECT_EQ(parse("0", 0), 0);
  EXPECT_EQ(parse("7", 0), 7);
  EXPECT_EQ(parse("1234567890", 0), 1'234'567'890);
  EXPECT_EQ(parse("0.5", 1), 5);
  EXPECT_EQ(parse("1e3", 0), 1000);
  EXPECT_EQ(parse("1E3", 0), 1000);
  EXPECT_EQ(parse("1e+3", 0), 1000);
  EXPECT_EQ(parse("1e003", 0), 1000);
  EXPECT_EQ(parse("1200e-2", 0), 12);
  EXPECT_EQ(parse("1.5e1", 0), 15);
  EXPECT_EQ(parse("0.00015e6", 2), 15'000);
}

TEST(Decimal, RefusesWhatTheJsonGrammarRefuses) {
  for (const std::string_view text :
       {"",    "-",        ".",    "1.",    ".5",    "+1",  "01",   "00",   "-01",  "1e",
        "1e+", "1e-",      "e1",   "1.e1",  "0x10",  "1,0", "1_0",  " 1",   "1 ",   "1\n",
        "NaN", "Infinity", "1e1.", "1e1e1", "1.2.3", "--1", "1-",   "1e1x", "١",    "\"1\"",
        "1a",  "1.0a",     "1/2",  "1:",    "-.5",   "- 1", "1e 5", "0 0",  "1e++1"}) {
    EXPECT_EQ(parse(text, 2), std::unexpected(malformed)) << '[' << text << ']';
  }
  EXPECT_EQ(parse(std::string_view("1\0", 2), 2), std::unexpected(malformed));
}

TEST(Decimal, SaysNegativeOnlyOfWhatIsBelowZero) {
  EXPECT_EQ(parse("-1", 2), std::unexpected(negative));
  EXPECT_EQ(parse("-0.0001", 2), std::unexpected(negative));
  EXPECT_EQ(parse("-1e400", 2), std::unexpected(negative));
  EXPECT_EQ(parse("-0", 2), 0);
  EXPECT_EQ(parse("-0.000e7", 2), 0);
}

TEST(Decimal, IgnoresZerosBeyondTheDigitsAndNothingElse) {
  EXPECT_EQ(parse("10.000", 2), 1000);
  EXPECT_EQ(parse("10.00" + std::string(5000, '0'), 2), 1000);
  EXPECT_EQ(parse("10.001", 2), std::unexpected(too_precise));
  EXPECT_EQ(parse("10.00" + std::string(5000, '0') + "1", 2), std::unexpected(too_precise));
  EXPECT_EQ(parse("1e-2", 2), 1);
  EXPECT_EQ(parse("1e-3", 2), std::unexpected(too_precise));
  EXPECT_EQ(parse("10e-3", 2), 1);
  EXPECT_EQ(parse("1e-99999999999999999999999", 2), std::unexpected(too_precise));
}

TEST(Decimal, IsBoundedByTheMaximumInclusively) {
  EXPECT_EQ(parse("9.99", 2, 1000), 999);
  EXPECT_EQ(parse("10.00", 2, 1000), 1000);
  EXPECT_EQ(parse("10.01", 2, 1000), std::unexpected(too_large));
  EXPECT_EQ(parse("1e18", 0), kLargest);
  EXPECT_EQ(parse("1000000000000000001", 0), std::unexpected(too_large));
  EXPECT_EQ(parse("9999999999999999999", 0), std::unexpected(too_large));
  EXPECT_EQ(parse("10000000000000000000", 0), std::unexpected(too_large));
  EXPECT_EQ(parse("18446744073709551617", 0), std::unexpected(too_large)) << "2^64 + 1 wraps to 1";
  EXPECT_EQ(parse("1e19", 0), std::unexpected(too_large));
  EXPECT_EQ(parse("0", 0, 0), 0);
  EXPECT_EQ(parse("1", 0, 0), std::unexpected(too_large));
}

TEST(Decimal, DoesNoWorkForAnExponentThatTheTextOnlyNames) {
  EXPECT_EQ(parse("1e400", 2), std::unexpected(too_large));
  EXPECT_EQ(parse("1e999999999999999999999999999999", 2), std::unexpected(too_large));
  EXPECT_EQ(parse("1e18446744073709551616", 2), std::unexpected(too_large)) << "2^64 wraps to 0";
  EXPECT_EQ(parse("1e4294967296", 2), std::unexpected(too_large)) << "2^32 wraps to 0";
  EXPECT_EQ(parse("10e-18446744073709551616", 2), std::unexpected(too_precise));
  EXPECT_EQ(parse("0e999999999", 2), 0);
  EXPECT_EQ(parse("0e-999999999999999999999999", 2), 0);
  EXPECT_EQ(parse("0.000e999999999", 2), 0);
}

TEST(Decimal, LetsDigitsAndExponentCancelOut) {
  const std::string zeros(2000, '0');
  EXPECT_EQ(parse("0." + zeros + "1e2001", 0), 1);
  EXPECT_EQ(parse("1" + zeros + "e-2000", 0), 1);
  EXPECT_EQ(parse("1" + zeros + ".0e-2000", 3), 1000);
  EXPECT_EQ(parse("1" + zeros + "e-1980", 0), std::unexpected(too_large));
  EXPECT_EQ(parse("1" + zeros + "e-2001", 0), std::unexpected(too_precise));
}

TEST(Decimal, TellsTheFirstErrorInTheStatedOrder) {
  EXPECT_EQ(parse("-1e400x", 2), std::unexpected(malformed));
  EXPECT_EQ(parse("-1.001", 2), std::unexpected(negative));
  EXPECT_EQ(parse("1000000000000000000000.001", 2), std::unexpected(too_precise));
}

TEST(Decimal, KeepsEighteenFractionDigits) {
  EXPECT_EQ(parse("0.123456789012345678", 18), 123'456'789'012'345'678);
  EXPECT_EQ(parse("1", 18), kLargest);
  EXPECT_EQ(parse("1.000000000000000001", 18), std::unexpected(too_large));
}

}  // namespace
}  // namespace penstock::domain
