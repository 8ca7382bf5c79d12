#include "domain/digits.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

std::string written(std::uint64_t value, std::size_t width) {
  std::string text(width + 2, '#');
  write_digits(text.data() + 1, value, width);
  return text;
}

TEST(Digits, AreWrittenZeroFilledAndNowhereElse) {
  EXPECT_EQ(written(7, 1), "#7#");
  EXPECT_EQ(written(7, 4), "#0007#");
  EXPECT_EQ(written(1'234'567'890, 10), "#1234567890#");
  EXPECT_EQ(written(12'345, 3), "#345#");
  EXPECT_EQ(written(5, 0), "##");
}

TEST(Digits, AreReadAsManyAsAsked) {
  EXPECT_EQ(read_digits("0123456789", 10), 123'456'789);
  EXPECT_EQ(read_digits("0123456789", 3), 12);
  EXPECT_EQ(read_digits("999999999999999999", 18), 999'999'999'999'999'999);
  EXPECT_EQ(read_digits("x", 0), 0);
}

TEST(Digits, AreRefusedWhereOneIsNone) {
  for (const std::string_view text : {"0/", "0:", "/0", ":0", "-1", "+1", " 1", "1 ", "1x"}) {
    EXPECT_EQ(read_digits(text.data(), text.size()), -1) << text;
  }
}

TEST(PowersOfTen, AreTenTimesTheOneBefore) {
  EXPECT_EQ(kPowersOfTen.front(), 1);
  for (std::size_t i = 1; i < kPowersOfTen.size(); ++i) {
    EXPECT_EQ(kPowersOfTen[i], kPowersOfTen[i - 1] * 10);
  }
  EXPECT_EQ(kPowersOfTen.back(), 1'000'000'000'000'000'000);
}

}  // namespace
}  // namespace penstock::domain
