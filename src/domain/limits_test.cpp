#include "domain/limits.h"

#include <gtest/gtest.h>

namespace penstock::domain::limits {
namespace {

// What docs/api.md promises.
TEST(Limits, AreThoseThatTheInterfacePromises) {
  EXPECT_EQ(kMaxNameBytes, 128U);
  EXPECT_EQ(kMaxIdempotencyKeyBytes, 255U);
  EXPECT_EQ(kMaxItemsPerOrder, 100U);
  EXPECT_EQ(kMaxQuantity, 1'000'000);
  EXPECT_EQ(kMaxMetadataPairs, 20U);
  EXPECT_EQ(kMaxMetadataCharacters, 500U);
  EXPECT_EQ(kMaxBodyBytes, 262'144U);
  EXPECT_EQ(kMaxJsonDepth, 16U);
  EXPECT_EQ(kMaxAmountMinor, 1'000'000'000'000'000);
  EXPECT_EQ(kMaxStock, 1'000'000'000'000);
  EXPECT_EQ(kMaxPaymentMethodBytes, 128U);
  EXPECT_EQ(kMaxTraceparentBytes, 55U);
  EXPECT_EQ(kDefaultPage, 50U);
  EXPECT_EQ(kMaxPage, 500U);
  EXPECT_EQ(kMaxCursorBytes, 1024U);
  EXPECT_EQ(kMaxWaitSeconds, 30);
  EXPECT_EQ(kMaxRatePerSecond, 1'000'000);
  EXPECT_EQ(kMaxBurst, 10'000'000);
  EXPECT_EQ(kMaxTenants, 100'000U);
  EXPECT_EQ(kMaxWeight, 1'000);
  EXPECT_EQ(kMaxWebhookUrlBytes, 2048U);
  EXPECT_EQ(kMaxWebhookSecretBytes, 256U);
  EXPECT_EQ(kMaxRedriveBatch, 10'000U);
  EXPECT_EQ(kDefaultMaxActive, 1'000'000U);
  EXPECT_EQ(kMaxAttempts, 3);
  EXPECT_EQ(kUncleanEndsBeforeMarks, 3);
  EXPECT_EQ(kMaxInterruptionsAlone, 3);
}

// Ours to choose: every figure in docs/ was measured with these, so that another is a decision.
TEST(Limits, OfThePipelineAreThoseThatItIsMeasuredWith) {
  EXPECT_EQ(kMaxBatch, 4096U);
  EXPECT_EQ(kMaxMailbox, 65'536U);
  EXPECT_EQ(kMailboxReserve, 1'024U);
  EXPECT_EQ(kMaxInFlight, 16'384U);
  EXPECT_EQ(kMaxTimelineEvents, 256U);
  EXPECT_EQ(kTimelineReserve, 32U);
  EXPECT_EQ(kMaxDeadLetters, 100'000U);
  EXPECT_EQ(kMaxOwedRefunds, 100'000U);
  EXPECT_EQ(kMaxWaiters, 100'000U);
  EXPECT_EQ(kMaxDeliveriesInFlight, 256U);
  EXPECT_EQ(kMaxDeliveriesWaiting, 1'000'000U);
}

TEST(Limits, KeepTheTimesThatTheSemanticsName) {
  EXPECT_EQ(kIdempotencyRetention.us, 7LL * 24 * 3600 * 1'000'000);
  EXPECT_EQ(kDeadLetterHold.us, 24LL * 3600 * 1'000'000);
  EXPECT_EQ(kGatewayKeyRetention.us, 24LL * 3600 * 1'000'000);
  EXPECT_EQ(kMinHistoryRetention.us, 31LL * 24 * 3600 * 1'000'000);
  EXPECT_EQ(kMaxClockBehind.us, 3600LL * 1'000'000);
  EXPECT_EQ(kMaxClockAhead.us, 24LL * 3600 * 1'000'000);
}

}  // namespace
}  // namespace penstock::domain::limits
