#include "domain/retry.h"

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

constexpr std::uint64_t kAllOnes = std::numeric_limits<std::uint64_t>::max();

TEST(Backoff, DoublesItsCeilingFromTheBaseUpToTheCap) {
  const Backoff backoff;
  const std::int64_t seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
  for (std::uint32_t failures = 1; failures <= 9; ++failures) {
    EXPECT_EQ(backoff.pause(failures, kAllOnes), Duration::seconds(seconds[failures - 1]))
        << failures;
    EXPECT_EQ(backoff.pause(failures, 0), Duration{0}) << failures;
  }
}

TEST(Backoff, IsUniformBetweenZeroAndTheCeiling) {
  const Backoff backoff{.base = Duration{3}, .cap = Duration{100}};
  std::mt19937_64 random(11);
  std::vector<int> counts(4, 0);
  for (int i = 0; i < 40'000; ++i) {
    ++counts.at(static_cast<std::size_t>(backoff.pause(1, random()).us));
  }
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
  EXPECT_EQ(backoff.pause(1, std::uint64_t{1} << 63).us, 2) << "the middle of four values";
  EXPECT_EQ(backoff.pause(1, (std::uint64_t{1} << 63) - 1).us, 1);
}

TEST(Backoff, DoesNotOverflowForAnyCount) {
  const Backoff backoff;
  for (const std::uint32_t failures : {20U, 43U, 44U, 62U, 63U, 64U, 65U, 66U, 1000U, UINT32_MAX}) {
    EXPECT_EQ(backoff.pause(failures, kAllOnes), Duration::seconds(60)) << failures;
  }
  const Backoff widest{.base = Duration{1}, .cap = Duration{INT64_MAX}};
  EXPECT_EQ(widest.pause(63, kAllOnes).us, std::int64_t{1} << 62);
  EXPECT_EQ(widest.pause(64, kAllOnes).us, INT64_MAX);
  EXPECT_EQ(widest.pause(65, kAllOnes).us, INT64_MAX);
}

TEST(Backoff, ReachesTheCapExactlyAndNotABitBeyond) {
  const Backoff exact{.base = Duration{1}, .cap = Duration{64}};
  EXPECT_EQ(exact.pause(7, kAllOnes).us, 64);
  EXPECT_EQ(exact.pause(8, kAllOnes).us, 64);
  const Backoff between{.base = Duration{1}, .cap = Duration{63}};
  EXPECT_EQ(between.pause(6, kAllOnes).us, 32);
  EXPECT_EQ(between.pause(7, kAllOnes).us, 63);
}

TEST(Backoff, IsCappedEvenAtTheFirstFailure) {
  const Backoff backoff{.base = Duration::seconds(90), .cap = Duration::seconds(60)};
  EXPECT_EQ(backoff.pause(1, kAllOnes), Duration::seconds(60));
}

TEST(Backoff, TakesOddInputAsItSays) {
  EXPECT_EQ(Backoff{}.pause(0, kAllOnes), Duration::seconds(1));
  EXPECT_EQ((Backoff{.base = Duration{0}, .cap = Duration{5}}.pause(9, kAllOnes)), Duration{0});
  EXPECT_EQ((Backoff{.base = Duration{-1}, .cap = Duration{5}}.pause(9, kAllOnes)), Duration{0});
  EXPECT_EQ((Backoff{.base = Duration{5}, .cap = Duration{-1}}.pause(9, kAllOnes)), Duration{0});
}

TEST(WebhookSchedule, IsTheOneOfStandardWebhooks) {
  const std::int64_t seconds[] = {0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
  for (int attempt = 1; attempt <= 10; ++attempt) {
    EXPECT_EQ(webhook_pause(attempt), Duration::seconds(seconds[attempt - 1])) << attempt;
  }
}

TEST(WebhookSchedule, EndsAfterTenAttempts) {
  EXPECT_EQ(webhook_pause(11), std::nullopt);
  EXPECT_EQ(webhook_pause(INT32_MAX), std::nullopt);
  EXPECT_EQ(webhook_pause(0), std::nullopt);
  EXPECT_EQ(webhook_pause(-1), std::nullopt);
}

}  // namespace
}  // namespace penstock::domain
