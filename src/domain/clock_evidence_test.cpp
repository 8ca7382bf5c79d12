#include "domain/clock_evidence.h"

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

constexpr std::int64_t kNsPerUs = 1'000;

class ClockEvidenceTest : public ::testing::Test {
 protected:
  Now after(Duration counted, Duration shown) const {
    return {.wall = agreed.wall + shown,
            .monotonic = {agreed.monotonic.ns + counted.us * kNsPerUs}};
  }

  Now agreed{.wall = *parse_rfc3339("2026-11-22T16:00:00Z"), .monotonic = {5'000'000'000}};
  ClockEvidence evidence{agreed};
};

TEST_F(ClockEvidenceTest, AClockThatRunsAsCountedIsBelievedHoweverLong) {
  for (const auto days : {1, 40, 4'000}) {
    const Now now = after(Duration::hours(24 * days), Duration::hours(24 * days + 1));
    EXPECT_TRUE(evidence.agrees(now));
    EXPECT_EQ(evidence.trusted(now), now.wall);
  }
}

TEST_F(ClockEvidenceTest, AClockThatWasSetAheadIsNotBelievedBeyondTheTolerance) {
  const Now now = after(Duration::hours(2), Duration::hours(24 * 400));
  EXPECT_FALSE(evidence.agrees(now));
  EXPECT_EQ(evidence.trusted(now), agreed.wall + Duration::hours(2) + ClockEvidence::kTolerance);
}

TEST_F(ClockEvidenceTest, AClockThatIsBehindIsBelieved) {
  const Now now = after(Duration::hours(2), Duration::hours(-3));
  EXPECT_TRUE(evidence.agrees(now));
  EXPECT_EQ(evidence.trusted(now), now.wall);
}

}  // namespace
}  // namespace penstock::domain
