#include "domain/instant.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

constexpr std::int64_t kDay = 86'400'000'000;

TEST(Duration, CountsMicroseconds) {
  EXPECT_EQ(Duration::milliseconds(3).us, 3000);
  EXPECT_EQ(Duration::seconds(2).us, 2'000'000);
  EXPECT_EQ(Duration::hours(1).us, 3'600'000'000);
  EXPECT_LT(Duration::seconds(1), Duration::milliseconds(1001));
}

TEST(Instant, BeginsWith1970AndASpanWithNone) {
  EXPECT_EQ(Instant{}.us, 0);
  EXPECT_EQ(Duration{}.us, 0);
  EXPECT_EQ(MonotonicTime{}.ns, 0);
  EXPECT_EQ(month_of({}), Month{});
}

TEST(Instant, AddsAndSubtractsDurations) {
  const Instant at{1'000};
  EXPECT_EQ((at + Duration{5}).us, 1'005);
  EXPECT_EQ((at - Duration{5}).us, 995);
  EXPECT_EQ(Instant{995} - at, Duration{-5});
}

TEST(Month, ContainsItsFirstInstantAndNotTheNextOnes) {
  const Month november{2026, 11};
  const Instant start = start_of(november);
  EXPECT_EQ(start.us, 1'793'491'200'000'000);
  EXPECT_EQ(month_of(start), november);
  EXPECT_EQ(month_of(start - Duration{1}), (Month{2026, 10}));
  EXPECT_EQ(month_of(start_of({2026, 12}) - Duration{1}), november);
  EXPECT_EQ(month_of(start_of({2026, 12})), (Month{2026, 12}));
  EXPECT_EQ(month_of(start_of({2027, 1}) - Duration{1}), (Month{2026, 12}));
}

TEST(Month, KnowsTheEpochAndTheTimeBeforeIt) {
  EXPECT_EQ(month_of({0}), (Month{1970, 1}));
  EXPECT_EQ(month_of({-1}), (Month{1969, 12}));
  EXPECT_EQ(month_of({-31 * kDay}), (Month{1969, 12}));
  EXPECT_EQ(month_of({-31 * kDay - 1}), (Month{1969, 11}));
  EXPECT_EQ(start_of({1970, 1}).us, 0);
}

TEST(Month, KnowsLeapYears) {
  EXPECT_EQ(start_of({2024, 3}) - start_of({2024, 2}), Duration{29 * kDay});
  EXPECT_EQ(start_of({2026, 3}) - start_of({2026, 2}), Duration{28 * kDay});
  EXPECT_EQ(start_of({1900, 3}) - start_of({1900, 2}), Duration{28 * kDay});
  EXPECT_EQ(start_of({2000, 3}) - start_of({2000, 2}), Duration{29 * kDay});
  EXPECT_EQ(start_of({2100, 3}) - start_of({2100, 2}), Duration{28 * kDay});
}

// A day-by-day count is the reference for the closed formulas.
TEST(Month, AgreesWithACountDayByDayFromYear0To2400) {
  std::int64_t day = start_of({0, 1}).us / kDay;
  EXPECT_EQ(day, -719'528);
  for (std::int32_t year = 0; year < 2400; ++year) {
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const int lengths[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (std::int32_t month = 1; month <= 12; ++month) {
      ASSERT_EQ(start_of({year, month}).us, day * kDay) << year << '-' << month;
      ASSERT_EQ(month_of({day * kDay}), (Month{year, month}));
      day += lengths[month - 1];
      ASSERT_EQ(month_of({day * kDay - 1}), (Month{year, month}));
    }
  }
}

TEST(Month, IsWrittenAndReadAsYearAndMonth) {
  EXPECT_EQ(to_string(Month{2026, 11}), "2026-11");
  EXPECT_EQ(to_string(Month{2026, 1}), "2026-01");
  EXPECT_EQ(to_string(Month{33, 9}), "0033-09");
  EXPECT_EQ(to_string(Month{0, 1}), "0000-01");
  EXPECT_EQ(to_string(Month{10'889, 8}), "10889-08");
  EXPECT_EQ(parse_month("2026-11"), (Month{2026, 11}));
  EXPECT_EQ(parse_month("2026-01"), (Month{2026, 1}));
  EXPECT_EQ(parse_month("2026-12"), (Month{2026, 12}));
  EXPECT_EQ(parse_month("0000-01"), (Month{0, 1}));
  for (const std::string_view text :
       {"", "2026", "2026-0", "2026-00", "2026-13", "2026-1x", "202-611", "2026/11", "2026-011",
        " 2026-1", "-026-11", "2026-+1", "+026-11", "2026--1", "2026-0:", "2026-1/"}) {
    EXPECT_FALSE(parse_month(text)) << text;
  }
}

TEST(Month, SortsByTime) {
  EXPECT_LT((Month{2025, 12}), (Month{2026, 1}));
  EXPECT_LT((Month{2026, 2}), (Month{2026, 11}));
}

TEST(MonthDeathTest, StopsOnAMonthThatIsNone) {
  EXPECT_DEATH(start_of({2026, 0}), "check failed");
  EXPECT_DEATH(start_of({2026, 13}), "check failed");
  EXPECT_DEATH(start_of({2'000'000'000, 1}), "check failed");
  EXPECT_DEATH(start_of({290'001, 1}), "check failed");
  EXPECT_DEATH(start_of({-290'001, 12}), "check failed");
  EXPECT_LT(start_of({-290'000, 1}), start_of({290'000, 12}));
}

TEST(Rfc3339, WritesSixFractionDigits) {
  EXPECT_EQ(to_rfc3339({0}), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(to_rfc3339({1'795'363'200'000'000}), "2026-11-22T16:00:00.000000Z");
  EXPECT_EQ(to_rfc3339({1'795'363'200'000'001}), "2026-11-22T16:00:00.000001Z");
  EXPECT_EQ(to_rfc3339({1'795'391'999'123'456}), "2026-11-22T23:59:59.123456Z");
  EXPECT_EQ(to_rfc3339({-1}), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(to_rfc3339({951'782'400'000'000}), "2000-02-29T00:00:00.000000Z");
}

TEST(Rfc3339, AppendsWithoutTouchingWhatIsThere) {
  std::string text = "at ";
  append_rfc3339({0}, text);
  EXPECT_EQ(text, "at 1970-01-01T00:00:00.000000Z");
}

TEST(Rfc3339, WritesTheFirstOrLastInstantForWhatHasNoForm) {
  EXPECT_EQ(to_rfc3339({std::numeric_limits<std::int64_t>::max()}), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(to_rfc3339({std::numeric_limits<std::int64_t>::min()}), "0000-01-01T00:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(start_of({10'000, 1})), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(to_rfc3339(start_of({10'000, 1}) - Duration{2}), "9999-12-31T23:59:59.999998Z");
}

TEST(Rfc3339, ReadsZeroToSixFractionDigits) {
  const std::int64_t noon = 1'795'363'200'000'000;
  EXPECT_EQ(parse_rfc3339("2026-11-22T16:00:00Z"), Instant{noon});
  EXPECT_EQ(parse_rfc3339("2026-11-22T16:00:00.5Z"), Instant{noon + 500'000});
  EXPECT_EQ(parse_rfc3339("2026-11-22T16:00:00.05Z"), Instant{noon + 50'000});
  EXPECT_EQ(parse_rfc3339("2026-11-22T16:00:00.000001Z"), Instant{noon + 1});
  EXPECT_EQ(parse_rfc3339("2026-11-22t16:00:00z"), Instant{noon});
}

TEST(Rfc3339, ReadsOffsets) {
  const Instant noon{1'795'363'200'000'000};
  EXPECT_EQ(parse_rfc3339("2026-11-22T17:30:00+01:30"), noon);
  EXPECT_EQ(parse_rfc3339("2026-11-22T08:00:00-08:00"), noon);
  EXPECT_EQ(parse_rfc3339("2026-11-23T01:00:00.000000+09:00"), noon);
  EXPECT_EQ(parse_rfc3339("2026-11-22T16:00:00-00:00"), noon);
  EXPECT_EQ(parse_rfc3339("2026-11-23T15:59:00+23:59"), noon);
  EXPECT_EQ(parse_rfc3339("2026-11-21T16:01:00-23:59"), noon);
  EXPECT_EQ(parse_rfc3339("2026-11-22T16:00:00.25+00:00"), noon + Duration{250'000});
}

TEST(Rfc3339, RefusesWhatIsNoTime) {
  for (const std::string_view text : {"",
                                      "2026-11-22",
                                      "2026-11-22T16:00:00",
                                      "2026-11-22T16:00:00+1",
                                      "2026-11-22T16:00:00+01:0",
                                      "2026-11-22T16:00:00+01:000",
                                      "2026-11-22T16:00:00x01:00",
                                      "2026-11-22T16:00:00.Z",
                                      "2026-11-22T16:00:00.",
                                      "2026-11-22T16:00:00.1234567Z",
                                      "2026-11-22T16:00Z",
                                      "2026-11-22 16:00:00Z",
                                      "2026-11-22T24:00:00Z",
                                      "2026-11-22T16:60:00Z",
                                      "2026-11-22T16:00:60Z",
                                      "2026-00-22T16:00:00Z",
                                      "2026-13-22T16:00:00Z",
                                      "2026-11-00T16:00:00Z",
                                      "2026-11-31T16:00:00Z",
                                      "2026-02-29T16:00:00Z",
                                      "1900-02-29T16:00:00Z",
                                      "2026-11-22T16:00:00+1:00",
                                      "2026-11-22T16:00:00+0100",
                                      "2026-11-22T16:00:00+24:00",
                                      "2026-11-22T16:00:00+01:60",
                                      "2026-11-22T16:00:00Zx",
                                      "2026-11-22T16:00:00 Z",
                                      "2026-11-22T16:00:00,5Z",
                                      "-026-11-22T16:00:00Z",
                                      "2026-11-22T16:00:0+Z",
                                      "2026/11/22T16:00:00Z",
                                      "2026-11-22T16-00-00Z",
                                      "2026/11-22T16:00:00Z",
                                      "2026-11/22T16:00:00Z",
                                      "2026-11-22T16-00:00Z",
                                      "2026-11-22T16:00-00Z",
                                      "2026-11-22T+6:00:00Z",
                                      "now"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
  EXPECT_TRUE(parse_rfc3339("2024-02-29T16:00:00Z"));
  EXPECT_TRUE(parse_rfc3339("2000-02-29T23:59:59Z"));
}

TEST(Rfc3339, RefusesTheDayAfterTheLastOfEachMonth) {
  for (const std::int32_t year : {1900, 2000, 2023, 2024}) {
    for (std::int32_t month = 1; month <= 12; ++month) {
      const Month next = month == 12 ? Month{year + 1, 1} : Month{year, month + 1};
      const std::int64_t days = (start_of(next) - start_of({year, month})).us / kDay;
      const std::string prefix = to_string(Month{year, month}) + "-";
      EXPECT_EQ(parse_rfc3339(prefix + std::to_string(days) + "T00:00:00Z"),
                start_of(next) - Duration{kDay});
      EXPECT_FALSE(parse_rfc3339(prefix + std::to_string(days + 1) + "T00:00:00Z"))
          << prefix << days + 1;
    }
  }
}

TEST(Rfc3339, IsReadBackAsTheSameInstant) {
  std::mt19937_64 random(7);
  const std::int64_t first = start_of({0, 1}).us;
  const std::int64_t last = start_of({10'000, 1}).us - 1;
  std::uniform_int_distribution<std::int64_t> any(first, last);
  for (int i = 0; i < 20'000; ++i) {
    const Instant at{any(random)};
    ASSERT_EQ(parse_rfc3339(to_rfc3339(at)), at) << at.us;
  }
  EXPECT_EQ(parse_rfc3339(to_rfc3339({first})), Instant{first});
  EXPECT_EQ(parse_rfc3339(to_rfc3339({last})), Instant{last});
}

}  // namespace
}  // namespace penstock::domain
