#include "domain/money.h"

#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "domain/limits.h"

namespace penstock::domain {
namespace {

using enum MoneyError;

Currency currency(std::string_view code) {
  return Currency::parse(code).value();
}

TEST(Currency, HasTheMinorDigitsOfIso4217) {
  const std::set<std::string> none = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
                                      "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"};
  const std::set<std::string> three = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
  const std::set<std::string> four = {"CLF", "UYW"};
  int count = 0;
  for (char a = 'A'; a <= 'Z'; ++a) {
    for (char b = 'A'; b <= 'Z'; ++b) {
      for (char c = 'A'; c <= 'Z'; ++c) {
        const std::string code = {a, b, c};
        const std::optional<Currency> found = Currency::parse(code);
        const int expected =
            none.contains(code) ? 0 : (three.contains(code) ? 3 : (four.contains(code) ? 4 : 2));
        if (expected != 2) {
          EXPECT_TRUE(found) << code;
        }
        if (!found) continue;
        ++count;
        EXPECT_EQ(found->code(), code);
        EXPECT_EQ(found->minor_digits(), expected) << code;
      }
    }
  }
  EXPECT_EQ(count, 165);
}

TEST(Currency, KnowsTheActiveCodesWithTwoDigits) {
  for (const std::string_view code :
       {"AED", "AFN", "ALL", "AUD", "BRL", "CAD", "CHE", "CHF", "CHW", "CNY", "COU", "CZK", "DKK",
        "EGP", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "MGA", "MRU", "MXN", "MXV", "NGN",
        "NOK", "NZD", "PHP", "PKR", "PLN", "RON", "SAR", "SEK", "SGD", "SLE", "SOS", "THB", "TRY",
        "TWD", "UAH", "USD", "USN", "VED", "VES", "XCD", "XCG", "YER", "ZAR", "ZMW", "ZWG"}) {
    ASSERT_TRUE(Currency::parse(code)) << code;
    EXPECT_EQ(currency(code).minor_digits(), 2) << code;
  }
}

TEST(Currency, RefusesWithdrawnCodesMetalsAndCodesWithoutAMinorUnit) {
  for (const std::string_view code :
       {"ANG", "BGN", "CUC", "DEM", "HRK", "SLL", "ZWL", "XAG", "XAU", "XBA", "XBB", "XBC",
        "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX", "BTC", "AAA", "ZZZ"}) {
    EXPECT_FALSE(Currency::parse(code)) << code;
  }
}

TEST(Currency, TakesThreeUpperCaseLettersOnly) {
  for (const std::string_view code : {"", "U", "US", "USDX", "usd", "Usd", " USD", "US2", "SD2"}) {
    EXPECT_FALSE(Currency::parse(code)) << code;
  }
  EXPECT_FALSE(Currency::parse(std::string_view("US\0", 3)));
  EXPECT_FALSE(Currency::parse("\xd5SD"));
  for (char a = 'A'; a <= 'Z'; ++a) {
    for (int b = 0x80; b <= 0xff; ++b) {
      const char code[] = {a, static_cast<char>(b), 'D'};
      EXPECT_FALSE(Currency::parse({code, sizeof code})) << a << ' ' << b;
    }
  }
}

TEST(Money, IsNoneByDefault) {
  EXPECT_EQ(Money{}.minor_units, 0);
  EXPECT_EQ(Money{}.currency, Currency::usd());
}

TEST(Currency, IsTheDollarByDefault) {
  EXPECT_EQ(Currency(), Currency::usd());
  EXPECT_EQ(Currency::usd(), currency("USD"));
  EXPECT_EQ(Currency::usd().code(), "USD");
  EXPECT_NE(Currency::usd(), currency("USN"));
  EXPECT_NE(currency("JPY"), currency("KRW"));
}

TEST(ParseAmount, ReadsDollarsExactly) {
  EXPECT_EQ(parse_amount("10", Currency::usd()), 1000);
  EXPECT_EQ(parse_amount("10.0", Currency::usd()), 1000);
  EXPECT_EQ(parse_amount("1e1", Currency::usd()), 1000);
  EXPECT_EQ(parse_amount("0.10", Currency::usd()), 10);
  EXPECT_EQ(parse_amount("0.1", Currency::usd()), 10);
  EXPECT_EQ(parse_amount("10.000", Currency::usd()), 1000);
  EXPECT_EQ(parse_amount("0.29", Currency::usd()), 29) << "a double times 100 is 28.99...";
  EXPECT_EQ(parse_amount("1.005e3", Currency::usd()), 100'500);
  EXPECT_EQ(parse_amount("0", Currency::usd()), 0);
  EXPECT_EQ(parse_amount("0e999999999", Currency::usd()), 0);
}

TEST(ParseAmount, UsesTheCurrencysDigits) {
  EXPECT_EQ(parse_amount("500", currency("JPY")), 500);
  EXPECT_EQ(parse_amount("500.0", currency("JPY")), 500);
  EXPECT_EQ(parse_amount("500.5", currency("JPY")), std::unexpected(too_precise));
  EXPECT_EQ(parse_amount("1.234", currency("KWD")), 1234);
  EXPECT_EQ(parse_amount("1.2345", currency("KWD")), std::unexpected(too_precise));
  EXPECT_EQ(parse_amount("1.2345", currency("CLF")), 12'345);
  EXPECT_EQ(parse_amount("1.23456", currency("UYW")), std::unexpected(too_precise));
}

TEST(ParseAmount, NamesWhatIsWrong) {
  EXPECT_EQ(parse_amount("10.001", Currency::usd()), std::unexpected(too_precise));
  EXPECT_EQ(parse_amount("-1", Currency::usd()), std::unexpected(negative));
  EXPECT_EQ(parse_amount("1e400", Currency::usd()), std::unexpected(too_large));
  EXPECT_EQ(parse_amount("1e999999999999", Currency::usd()), std::unexpected(too_large));
  for (const std::string_view text : {"", "+1", "01", "1.", ".1", "1e", "abc", "1 ", "0x1"}) {
    EXPECT_EQ(parse_amount(text, Currency::usd()), std::unexpected(malformed)) << text;
  }
}

TEST(ParseAmount, EndsAtTheLimit) {
  EXPECT_EQ(parse_amount("10000000000000.00", Currency::usd()), limits::kMaxAmountMinor);
  EXPECT_EQ(parse_amount("9999999999999.99", Currency::usd()), limits::kMaxAmountMinor - 1);
  EXPECT_EQ(parse_amount("10000000000000.01", Currency::usd()), std::unexpected(too_large));
  EXPECT_EQ(parse_amount("1e15", currency("JPY")), limits::kMaxAmountMinor);
  EXPECT_EQ(parse_amount("1000000000000001", currency("JPY")), std::unexpected(too_large));
}

TEST(FormatAmount, WritesExactlyTheCurrencysDigits) {
  EXPECT_EQ(format_amount({2000, Currency::usd()}), "20.00");
  EXPECT_EQ(format_amount({0, Currency::usd()}), "0.00");
  EXPECT_EQ(format_amount({5, Currency::usd()}), "0.05");
  EXPECT_EQ(format_amount({99, Currency::usd()}), "0.99");
  EXPECT_EQ(format_amount({100, Currency::usd()}), "1.00");
  EXPECT_EQ(format_amount({-5, Currency::usd()}), "-0.05");
  EXPECT_EQ(format_amount({-123'456, Currency::usd()}), "-1234.56");
  EXPECT_EQ(format_amount({500, currency("JPY")}), "500");
  EXPECT_EQ(format_amount({0, currency("JPY")}), "0");
  EXPECT_EQ(format_amount({-7, currency("JPY")}), "-7");
  EXPECT_EQ(format_amount({1234, currency("KWD")}), "1.234");
  EXPECT_EQ(format_amount({7, currency("KWD")}), "0.007");
  EXPECT_EQ(format_amount({12'345, currency("CLF")}), "1.2345");
}

TEST(FormatAmount, HoldsAtTheEndsOfTheType) {
  EXPECT_EQ(format_amount({std::numeric_limits<std::int64_t>::max(), Currency::usd()}),
            "92233720368547758.07");
  EXPECT_EQ(format_amount({std::numeric_limits<std::int64_t>::min(), Currency::usd()}),
            "-92233720368547758.08");
  EXPECT_EQ(format_amount({std::numeric_limits<std::int64_t>::min(), currency("JPY")}),
            "-9223372036854775808");
}

TEST(FormatAmount, AppendsWithoutTouchingWhatIsThere) {
  std::string text = "total ";
  append_amount({2000, Currency::usd()}, text);
  append_amount({7, currency("JPY")}, text);
  EXPECT_EQ(text, "total 20.007");
}

TEST(FormatAmount, IsReadBackAsTheSameAmount) {
  std::mt19937_64 random(1);
  for (const std::string_view code : {"USD", "JPY", "KWD", "CLF"}) {
    for (int i = 0; i < 2000; ++i) {
      const auto amount = static_cast<std::int64_t>(random() >> (14 + random() % 50));
      if (amount > limits::kMaxAmountMinor) continue;
      EXPECT_EQ(parse_amount(format_amount({amount, currency(code)}), currency(code)), amount);
    }
  }
}

TEST(AmountArithmetic, SaysNoAboveTheLimit) {
  constexpr std::int64_t kMax = limits::kMaxAmountMinor;
  EXPECT_EQ(multiply_amount(1000, 2), 2000);
  EXPECT_EQ(multiply_amount(0, 1'000'000), 0);
  EXPECT_EQ(multiply_amount(kMax, 1), kMax);
  EXPECT_EQ(multiply_amount(kMax / 2, 2), kMax);
  EXPECT_EQ(multiply_amount(kMax / 2 + 1, 2), std::nullopt);
  EXPECT_EQ(multiply_amount(kMax, 1'000'000), std::nullopt) << "overflows 64 bits";
  EXPECT_EQ(multiply_amount(std::int64_t{1} << 32, std::int64_t{1} << 32), std::nullopt)
      << "wraps to zero";
  EXPECT_EQ(multiply_amount(-kMax, 1), -kMax);
  EXPECT_EQ(multiply_amount(-kMax, 2), std::nullopt);
  EXPECT_EQ(add_amounts(1, 2), 3);
  EXPECT_EQ(add_amounts(kMax - 1, 1), kMax);
  EXPECT_EQ(add_amounts(kMax, 1), std::nullopt);
  EXPECT_EQ(add_amounts(-kMax, -1), std::nullopt);
  EXPECT_EQ(add_amounts(5, -7), -2);
  EXPECT_EQ(add_amounts(std::numeric_limits<std::int64_t>::max(), 1), std::nullopt);
  EXPECT_EQ(add_amounts(std::numeric_limits<std::int64_t>::min(), -1), std::nullopt);
}

}  // namespace
}  // namespace penstock::domain
