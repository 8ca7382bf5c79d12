#include "domain/limits.h"

#include <gtest/gtest.h>

namespace penstock::domain::limits {
namespace {

// What the public interface promises; the other limits are ours to choose.
TEST(Limits, AreThoseThatTheInterfacePromises) {
  EXPECT_EQ(kMaxNameBytes, 128U);
  EXPECT_EQ(kMaxIdempotencyKeyBytes, 255U);
  EXPECT_EQ(kMaxItemsPerOrder, 100U);
  EXPECT_EQ(kMaxQuantity, 1'000'000);
  EXPECT_EQ(kMaxMetadataPairs, 20U);
  EXPECT_EQ(kMaxMetadataBytes, 500U);
  EXPECT_EQ(kMaxBodyBytes, 262'144U);
  EXPECT_EQ(kMaxWaitSeconds, 30);
  EXPECT_EQ(kMaxRatePerSecond, 1'000'000);
  EXPECT_EQ(kDefaultMaxActive, 1'000'000U);
  EXPECT_EQ(kMaxAttempts, 3);
  EXPECT_EQ(kUncleanEndsBeforeMarks, 3);
  EXPECT_EQ(kMaxInterruptionsAlone, 3);
}

TEST(Limits, KeepTheTimesThatTheSemanticsName) {
  EXPECT_EQ(kIdempotencyRetention.us, 7LL * 24 * 3600 * 1'000'000);
  EXPECT_EQ(kDeadLetterHold.us, 24LL * 3600 * 1'000'000);
  EXPECT_EQ(kGatewayKeyRetention.us, 24LL * 3600 * 1'000'000);
  EXPECT_EQ(kMaxClockBehind.us, 3600LL * 1'000'000);
  EXPECT_EQ(kMaxClockAhead.us, 24LL * 3600 * 1'000'000);
}

}  // namespace
}  // namespace penstock::domain::limits
