#include "domain/token_bucket.h"

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "domain/limits.h"

namespace penstock::domain {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;
constexpr std::int64_t kTwoTo62 = std::int64_t{1} << 62;

MonotonicTime at(std::int64_t ns) {
  return {ns};
}

BucketContract contract(std::int64_t rate_per_second, std::int64_t burst) {
  return {.rate = {.micro_tokens = rate_per_second * kMicroTokensPerToken}, .burst = burst};
}

BucketContract one_a_day(std::int64_t burst) {
  return {.rate = {.micro_tokens = kMicroTokensPerToken, .period_ns = kDay}, .burst = burst};
}

int admitted(TokenBucket& bucket, MonotonicTime now) {
  int count = 0;
  while (bucket.take(1, now).outcome == Take::allowed) ++count;
  return count;
}

TEST(TokenBucket, IsFullAtFirstAndRefillsAtItsRate) {
  TokenBucket bucket(contract(10, 5), at(0));
  EXPECT_EQ(admitted(bucket, at(0)), 5);
  EXPECT_EQ(admitted(bucket, at(kSecond / 10 - 1)), 0);
  EXPECT_EQ(admitted(bucket, at(kSecond / 10)), 1);
  EXPECT_EQ(admitted(bucket, at(kSecond / 10 * 4)), 3);
}

TEST(TokenBucket, TellsWhatRemainsAndWhenItIsFull) {
  TokenBucket bucket(contract(10, 5), at(0));
  TakeResult taken = bucket.take(2, at(0));
  EXPECT_EQ(taken.outcome, Take::allowed);
  EXPECT_EQ(taken.remaining, 3);
  EXPECT_EQ(taken.wait, Duration{0});
  EXPECT_EQ(taken.full_in, Duration::milliseconds(200));
  taken = bucket.take(4, at(0));
  EXPECT_EQ(taken.outcome, Take::denied);
  EXPECT_EQ(taken.remaining, 3);
  EXPECT_EQ(taken.wait, Duration::milliseconds(100));
  EXPECT_EQ(taken.full_in, Duration::milliseconds(200));
  EXPECT_EQ(bucket.take(0, at(kSecond)).full_in, Duration{0});
}

TEST(TokenBucket, RoundsWhatRemainsDown) {
  TokenBucket bucket(contract(1, 3), at(0));
  EXPECT_EQ(bucket.take(1, at(0)).remaining, 2);
  EXPECT_EQ(bucket.take(0, at(kSecond - 1)).remaining, 2);
  EXPECT_EQ(bucket.take(0, at(kSecond)).remaining, 3);
}

TEST(TokenBucket, PeeksWithoutWriting) {
  TokenBucket bucket(contract(1, 3), at(0));
  bucket.take(2, at(0));
  const TokenBucket::State before = bucket.state();
  const TakeResult peek = bucket.take(0, at(0));
  EXPECT_EQ(peek.outcome, Take::allowed);
  EXPECT_EQ(peek.remaining, 1);
  EXPECT_EQ(bucket.state(), before);
  bucket.take(0, at(100 * kSecond));
  EXPECT_EQ(bucket.state().used, before.used) << "even where the bucket is full since long";
}

TEST(TokenBucket, WritesNothingOnADenial) {
  TokenBucket bucket(contract(1, 3), at(0));
  bucket.take(2, at(0));
  const TokenBucket::State before = bucket.state();
  EXPECT_EQ(bucket.take(2, at(0)).outcome, Take::denied);
  EXPECT_EQ(bucket.take(4, at(0)).outcome, Take::exceeds_capacity);
  EXPECT_EQ(bucket.state(), before);
  EXPECT_EQ(bucket.take(1, at(0)).outcome, Take::allowed);
}

// ---- The recorded defects of other limiters --------------------------------------------------

TEST(TokenBucketDefect, BucketOfTenAdmitsTenAndNotSeventeenAfterSeventeenSecondsIdle) {
  TokenBucket bucket(contract(1, 10), at(0));
  EXPECT_EQ(admitted(bucket, at(0)), 10);
  EXPECT_EQ(admitted(bucket, at(17 * kSecond)), 10);
  TokenBucket fresh(contract(1, 10), at(0));
  EXPECT_EQ(admitted(fresh, at(17 * kSecond)), 10);
}

TEST(TokenBucketDefect, RatesBelowOneASecondAreNotTruncatedToZero) {
  TokenBucket half({.rate = *parse_rate_per_second("0.5"), .burst = 1}, at(0));
  EXPECT_EQ(admitted(half, at(0)), 1);
  EXPECT_EQ(admitted(half, at(2 * kSecond - 1)), 0);
  EXPECT_EQ(admitted(half, at(2 * kSecond)), 1);
  TokenBucket slowest({.rate = *parse_rate_per_second("0.000000000001"), .burst = 1}, at(0));
  EXPECT_EQ(admitted(slowest, at(0)), 1);
  EXPECT_EQ(slowest.take(1, at(0)).wait, Duration::seconds(1'000'000'000'000));
}

TEST(TokenBucketDefect, TheHighestRateIsNotTruncatedAndHigherOnesAreRefused) {
  TokenBucket bucket(contract(limits::kMaxRatePerSecond, 1), at(0));
  EXPECT_EQ(admitted(bucket, at(0)), 1);
  EXPECT_EQ(admitted(bucket, at(999)), 0);
  EXPECT_EQ(admitted(bucket, at(1000)), 1);
  EXPECT_FALSE(is_valid(contract(limits::kMaxRatePerSecond + 1, 1)));
  EXPECT_FALSE(is_valid(contract(2'000'000'000, 1)));
}

TEST(TokenBucketDefect, RoundingMintsNothingHoweverOftenItIsAsked) {
  // 16.766 tokens a second asked 100 000 times in 1000 seconds.
  TokenBucket bucket({.rate = *parse_rate_per_second("16.766"), .burst = 1}, at(0));
  EXPECT_EQ(admitted(bucket, at(0)), 1);
  int count = 0;
  for (std::int64_t i = 1; i <= 100'000; ++i) {
    count += bucket.take(1, at(i * kSecond / 100)).outcome == Take::allowed ? 1 : 0;
  }
  EXPECT_LE(count, 16'766);
  EXPECT_GE(count, 14'000) << "a token refilled while the bucket of one is full is lost, no other";
}

TEST(TokenBucketDefect, RoundingLosesNothingHoweverOftenItIsAsked) {
  // Nothing is ever lost to a full bucket here, so the count is exact.
  TokenBucket bucket({.rate = *parse_rate_per_second("16.766"), .burst = 100}, at(0));
  EXPECT_EQ(admitted(bucket, at(0)), 100);
  int count = 0;
  for (std::int64_t i = 1; i <= 1'000'000; ++i) {
    count += bucket.take(1, at(i * kSecond / 1000)).outcome == Take::allowed ? 1 : 0;
  }
  EXPECT_EQ(count, 16'766);
}

TEST(TokenBucketDefect, RemainingIsNeverAboveTheLimit) {
  TokenBucket bucket(contract(1000, 7), at(0));
  EXPECT_EQ(bucket.take(0, at(0)).remaining, 7);
  EXPECT_EQ(bucket.take(0, at(1000 * kSecond)).remaining, 7);
  EXPECT_EQ(bucket.take(1, at(2000 * kSecond)).remaining, 6);
  bucket.set_contract(contract(1000, 3), at(2000 * kSecond));
  EXPECT_EQ(bucket.take(0, at(2000 * kSecond)).remaining, 3);
  EXPECT_EQ(bucket.take(9, at(2000 * kSecond)).remaining, 3);
}

TEST(TokenBucketDefect, RetryAfterTheWaitIsAdmittedAndNotAMicrosecondBefore) {
  for (const std::string_view rate : {"3", "7", "0.3", "0.000007", "999983", "1000000", "16.766"}) {
    TokenBucket bucket({.rate = *parse_rate_per_second(rate), .burst = 4}, at(123));
    admitted(bucket, at(123));
    for (std::int64_t cost = 1; cost <= 4; ++cost) {
      const std::int64_t now = 200;
      const TakeResult denied = TokenBucket(bucket).take(cost, at(now));
      ASSERT_EQ(denied.outcome, Take::denied) << rate;
      ASSERT_GT(denied.wait, Duration{0});
      TokenBucket early = bucket;
      EXPECT_EQ(early.take(cost, at(now + (denied.wait.us - 1) * 1000)).outcome, Take::denied)
          << rate;
      TokenBucket then = bucket;
      EXPECT_EQ(then.take(cost, at(now + denied.wait.us * 1000)).outcome, Take::allowed) << rate;
    }
  }
}

TEST(TokenBucketDefect, ThereIsNoWaitForACostAboveTheBurst) {
  TokenBucket bucket(contract(10, 5), at(0));
  for (const std::int64_t cost :
       {std::int64_t{6}, std::int64_t{1'000'000'000'000'000}, INT64_MAX}) {
    const TakeResult result = bucket.take(cost, at(0));
    EXPECT_EQ(result.outcome, Take::exceeds_capacity);
    EXPECT_EQ(result.wait, Duration{0});
    EXPECT_EQ(result.remaining, 5);
  }
  EXPECT_EQ(bucket.take(5, at(0)).outcome, Take::allowed);
}

TEST(TokenBucketDefect, AnEmptyBucketGainsAndLosesNothingWhenTheRateChanges) {
  TokenBucket bucket(contract(10, 50), at(0));
  admitted(bucket, at(0));
  for (int i = 0; i < 1000; ++i) {
    bucket.set_contract(contract(i % 2 == 0 ? 1'000'000 : 1, 50), at(0));
    EXPECT_EQ(bucket.take(1, at(0)).outcome, Take::denied);
  }
  // Nine tenths of a token under one rate, one tenth under another.
  bucket.set_contract(contract(9, 50), at(0));
  bucket.set_contract(contract(1, 50), at(kSecond / 10));
  EXPECT_EQ(bucket.take(1, at(kSecond / 5 - 1)).outcome, Take::denied);
  EXPECT_EQ(bucket.take(1, at(kSecond / 5)).outcome, Take::allowed);
}

TEST(TokenBucketDefect, NothingUnderflowsJustAfterBoot) {
  for (const std::int64_t boot : {0, 1, 999}) {
    TokenBucket bucket(contract(1, limits::kMaxBurst), at(boot));
    EXPECT_EQ(bucket.take(0, at(boot)).remaining, limits::kMaxBurst);
    EXPECT_EQ(bucket.take(limits::kMaxBurst, at(boot)).outcome, Take::allowed);
    EXPECT_EQ(bucket.take(1, at(boot)).outcome, Take::denied);
    TokenBucket empty = TokenBucket::restore(contract(1, limits::kMaxBurst), {}, at(boot), 0);
    EXPECT_EQ(empty.take(1, at(boot)).outcome, Take::denied);
    EXPECT_EQ(empty.take(1, at(boot)).wait, Duration::seconds(1));
  }
}

// ---- Clocks, restarts, epochs ----------------------------------------------------------------

TEST(TokenBucket, AClockThatGoesBackOnlyDenies) {
  TokenBucket bucket(contract(1, 2), at(100 * kSecond));
  EXPECT_EQ(admitted(bucket, at(100 * kSecond)), 2);
  EXPECT_EQ(admitted(bucket, at(50 * kSecond)), 0);
  EXPECT_EQ(admitted(bucket, at(99 * kSecond)), 0) << "49 seconds after the time that went back";
  EXPECT_EQ(admitted(bucket, at(101 * kSecond - 1)), 0);
  EXPECT_EQ(admitted(bucket, at(101 * kSecond)), 1);
}

TEST(TokenBucket, CountsTheTimeThatTheClockIsBehindIntoTheWait) {
  TokenBucket bucket(contract(1, 1), at(100 * kSecond));
  EXPECT_EQ(admitted(bucket, at(100 * kSecond)), 1);
  const TakeResult denied = bucket.take(1, at(90 * kSecond));
  EXPECT_EQ(denied.wait, Duration::seconds(11));
  EXPECT_EQ(denied.full_in, Duration::seconds(11));
  EXPECT_EQ(TokenBucket(bucket).take(1, at(101 * kSecond - 1000)).outcome, Take::denied);
  EXPECT_EQ(bucket.take(1, at(101 * kSecond)).outcome, Take::allowed);
}

TEST(TokenBucket, RestoresUnderAnotherBootWithoutAnyGain) {
  TokenBucket before(contract(3, 10), at(1000 * kSecond));
  before.take(8, at(1000 * kSecond));
  before.take(0, at(1000 * kSecond + 100'000'001));
  for (int restarts = 0; restarts < 100; ++restarts) {
    before = TokenBucket::restore(contract(3, 10), before.state(), at(5), 0);
  }
  EXPECT_EQ(before.take(0, at(5)).remaining, 2);
  EXPECT_EQ(before.take(3, at(5)).outcome, Take::denied);
  // 0.300000003 tokens were there beyond two: 0.699999997 tokens are missing.
  EXPECT_EQ(TokenBucket(before).take(3, at(5 + 233'333'332)).outcome, Take::denied);
  EXPECT_EQ(before.take(3, at(5 + 233'333'333)).outcome, Take::allowed);
}

TEST(TokenBucket, RestoresUnderTheSameBootWithTheTimeThatPassed) {
  TokenBucket before(contract(3, 10), at(0));
  before.take(10, at(0));
  TokenBucket after = TokenBucket::restore(contract(3, 10), before.state(), at(kSecond), kSecond);
  EXPECT_EQ(admitted(after, at(kSecond)), 3);
}

TEST(TokenBucket, RestoresANegativeTimeAsNone) {
  TokenBucket before(contract(3, 10), at(0));
  before.take(10, at(0));
  TokenBucket after = TokenBucket::restore(contract(3, 10), before.state(), at(0), -kSecond);
  EXPECT_EQ(after.state(), before.state());
}

TEST(TokenBucket, RestoresARemainderThatCannotBeAsZero) {
  const TokenBucket::State stored{.used = 9, .virtual_time = 9, .remainder = kDay - 1};
  EXPECT_EQ(TokenBucket::restore(contract(1, 1), stored, at(0), 0).state().remainder, 0);
  EXPECT_EQ(TokenBucket::restore(one_a_day(1), stored, at(0), 0).state(), stored);
  const TokenBucket::State whole{.used = 9, .virtual_time = 9, .remainder = kSecond};
  EXPECT_EQ(TokenBucket::restore(contract(1, 1), whole, at(0), 0).state(),
            (TokenBucket::State{.used = 9, .virtual_time = 9}));
}

TEST(TokenBucket, CarriesTheRemainderOfItsDivision) {
  TokenBucket bucket(one_a_day(1), at(0));
  bucket.take(1, at(0));
  // A micro-token takes 86.4 ms; asked each millisecond, each answer on its own rounds to none.
  for (std::int64_t ms = 1; ms < 87; ++ms) bucket.take(0, at(ms * 1'000'000));
  EXPECT_EQ(bucket.state().virtual_time, kMicroTokensPerToken);
  bucket.take(0, at(86'400'000 - 1));
  EXPECT_EQ(bucket.state().virtual_time, kMicroTokensPerToken);
}

TEST(TokenBucket, OfOneADayRefillsExactlyOverYears) {
  TokenBucket bucket(one_a_day(1), at(7));
  EXPECT_EQ(admitted(bucket, at(7)), 1);
  for (std::int64_t day = 1; day <= 3650; ++day) {
    const std::int64_t due = 7 + day * kDay;
    ASSERT_EQ(bucket.take(1, at(due - kDay / 3)).outcome, Take::denied) << day;
    ASSERT_EQ(bucket.take(1, at(due - 1)).outcome, Take::denied) << day;
    ASSERT_EQ(bucket.take(1, at(due)).outcome, Take::allowed) << day;
  }
}

TEST(TokenBucket, OfOneADayHasItsTenYearsOfTokensAfterTenYears) {
  TokenBucket bucket(one_a_day(10'000), at(0));
  EXPECT_EQ(bucket.take(10'000, at(0)).outcome, Take::allowed);
  EXPECT_EQ(bucket.take(0, at(3650 * kDay - 1)).remaining, 3649);
  EXPECT_EQ(bucket.take(0, at(3650 * kDay)).remaining, 3650);
}

// A fraction kept beyond a full bucket would let one token and a fraction through.
TEST(TokenBucket, CarriesNoFractionBeyondFull) {
  TokenBucket bucket(one_a_day(1), at(0));
  const std::int64_t almost_a_micro_token = 86'399'999;
  EXPECT_EQ(bucket.take(1, at(almost_a_micro_token)).outcome, Take::allowed);
  EXPECT_EQ(bucket.take(1, at(almost_a_micro_token + kDay - 1)).outcome, Take::denied);
  EXPECT_EQ(bucket.take(1, at(almost_a_micro_token + kDay)).outcome, Take::allowed);
}

TEST(TokenBucket, CarriesItsLevelIntoALargerBurst) {
  TokenBucket bucket(contract(1, 10), at(0));
  bucket.take(0, at(1'000'000 * kSecond));
  bucket.set_contract(contract(1, 1000), at(1'000'000 * kSecond));
  EXPECT_EQ(bucket.take(0, at(1'000'000 * kSecond)).remaining, 10) << "idle time is no credit";
  EXPECT_EQ(admitted(bucket, at(1'000'001 * kSecond)), 11);
}

TEST(TokenBucket, ClipsItsLevelToASmallerBurstAndDoesNotGiveItBack) {
  TokenBucket bucket(contract(1, 100), at(0));
  bucket.set_contract(contract(1, 5), at(0));
  EXPECT_EQ(bucket.take(0, at(0)).remaining, 5);
  EXPECT_EQ(bucket.take(6, at(0)).outcome, Take::exceeds_capacity);
  bucket.set_contract(contract(1, 100), at(0));
  EXPECT_EQ(admitted(bucket, at(0)), 5);
}

TEST(TokenBucket, ChangesNothingForAnEqualContract) {
  TokenBucket bucket({.rate = *parse_rate_per_second("0.3"), .burst = 5}, at(0));
  bucket.take(4, at(1));
  const TokenBucket::State before = bucket.state();
  bucket.set_contract(bucket.contract(), at(1));
  EXPECT_EQ(bucket.state(), before);
  bucket.take(0, at(1000 * kSecond));
  const TokenBucket::State full = bucket.state();
  bucket.set_contract(bucket.contract(), at(1000 * kSecond));
  EXPECT_EQ(bucket.state(), full);
}

TEST(TokenBucket, CarriesTheFractionIntoAnotherPeriod) {
  TokenBucket bucket(one_a_day(2), at(0));
  bucket.take(2, at(0));
  // Half a micro-token is there: a day's period to a second's and back.
  bucket.set_contract(contract(1, 2), at(43'200'000));
  EXPECT_EQ(bucket.state().remainder, kSecond / 2);
  bucket.set_contract(one_a_day(2), at(43'200'000));
  EXPECT_EQ(bucket.state().remainder, kDay / 2);
  EXPECT_EQ(TokenBucket(bucket).take(1, at(kDay - 1)).outcome, Take::denied);
  EXPECT_EQ(bucket.take(1, at(kDay)).outcome, Take::allowed);
}

TEST(TokenBucket, AppliesANewRateFromItsInstantOn) {
  TokenBucket bucket(contract(1, 100), at(0));
  admitted(bucket, at(0));
  bucket.set_contract(contract(50, 100), at(10 * kSecond));
  EXPECT_EQ(bucket.contract(), contract(50, 100));
  EXPECT_EQ(bucket.take(0, at(10 * kSecond)).remaining, 10) << "ten seconds at the old rate";
  EXPECT_EQ(bucket.take(0, at(11 * kSecond)).remaining, 60);
}

// ---- Far ends --------------------------------------------------------------------------------

TEST(TokenBucket, ShiftsUsedAndVirtualTimeDownTogether) {
  const std::int64_t two_tokens = 2 * kMicroTokensPerToken;
  for (const std::int64_t virtual_time : {kTwoTo62 - 1, kTwoTo62, INT64_MAX - 1, INT64_MAX}) {
    TokenBucket bucket = TokenBucket::restore(
        contract(1, 10), {.used = virtual_time - two_tokens, .virtual_time = virtual_time}, at(0),
        0);
    EXPECT_EQ(bucket.take(0, at(0)).remaining, 2);
    EXPECT_EQ(bucket.take(0, at(kSecond)).remaining, 3);
    EXPECT_LT(bucket.state().virtual_time, kTwoTo62);
    EXPECT_GE(bucket.state().used, 0);
    EXPECT_EQ(bucket.state().virtual_time - bucket.state().used, two_tokens + kMicroTokensPerToken);
    EXPECT_EQ(bucket.take(4, at(kSecond)).wait, Duration::seconds(1));
    EXPECT_EQ(admitted(bucket, at(kSecond)), 3);
  }
}

TEST(TokenBucket, DoesNotShiftBelowTheLine) {
  const TokenBucket::State stored{.used = kTwoTo62 - 10, .virtual_time = kTwoTo62 - 2};
  EXPECT_EQ(TokenBucket::restore(contract(1, 10), stored, at(0), 0).state(), stored);
  EXPECT_EQ(TokenBucket::restore(contract(1, 10), stored, at(0), 1000).state().virtual_time,
            kTwoTo62 - 1);
  EXPECT_EQ(TokenBucket::restore(contract(1, 10), stored, at(0), 2000).state(),
            (TokenBucket::State{.used = 0, .virtual_time = 10}));
}

TEST(TokenBucket, ShiftsAFullBucketToFull) {
  TokenBucket bucket =
      TokenBucket::restore(contract(1, 10), {.used = 0, .virtual_time = INT64_MAX}, at(0), 0);
  EXPECT_EQ(bucket.take(0, at(0)).remaining, 10);
  EXPECT_EQ(bucket.take(0, at(0)).full_in, Duration{0});
  EXPECT_EQ(admitted(bucket, at(0)), 10);
}

TEST(TokenBucket, StandsTheLongestIdleTimeAtTheHighestRate) {
  TokenBucket bucket(contract(limits::kMaxRatePerSecond, limits::kMaxBurst), at(INT64_MIN));
  bucket.take(limits::kMaxBurst, at(INT64_MIN));
  EXPECT_EQ(bucket.take(0, at(INT64_MAX)).remaining, limits::kMaxBurst);
  EXPECT_EQ(bucket.take(limits::kMaxBurst, at(INT64_MAX)).outcome, Take::allowed);
  EXPECT_EQ(bucket.take(1, at(INT64_MAX)).wait, Duration{1});
  const TakeResult behind = bucket.take(1, at(INT64_MIN));
  EXPECT_EQ(behind.outcome, Take::denied);
}

TEST(TokenBucket, BoundsTheWaitOfTheSlowestRate) {
  const BucketContract slowest{.rate = {.micro_tokens = 1, .period_ns = INT64_MAX}, .burst = 100};
  TokenBucket bucket(slowest, at(0));
  bucket.take(100, at(0));
  EXPECT_EQ(bucket.take(100, at(0)).wait, kLongestWait);
  EXPECT_EQ(bucket.take(1, at(0)).full_in, kLongestWait);
  EXPECT_GT((Instant{4'000'000'000'000'000} + kLongestWait).us, 0);
}

TEST(TokenBucketDeathTest, StopsOnWhatOnlyABugPasses) {
  EXPECT_DEATH(TokenBucket(contract(0, 1), at(0)), "check failed");
  EXPECT_DEATH(TokenBucket(contract(1, 0), at(0)), "check failed");
  TokenBucket bucket(contract(1, 1), at(0));
  EXPECT_DEATH(bucket.set_contract(contract(1, limits::kMaxBurst + 1), at(0)), "check failed");
  EXPECT_DEATH(bucket.take(-1, at(0)), "check failed");
  const TokenBucket::State ahead{.used = 2, .virtual_time = 1};
  EXPECT_DEATH(TokenBucket::restore(contract(1, 1), ahead, at(0), 0), "check failed");
  const TokenBucket::State negative{.remainder = -1};
  EXPECT_DEATH(TokenBucket::restore(contract(1, 1), negative, at(0), 0), "check failed");
}

TEST(BucketContract, IsValidWithinTheLimits) {
  EXPECT_FALSE(is_valid({})) << "no rate is no default";
  EXPECT_EQ(BucketContract{}.burst, 1);
  EXPECT_TRUE(is_valid(contract(1, 1)));
  EXPECT_TRUE(is_valid(contract(limits::kMaxRatePerSecond, limits::kMaxBurst)));
  EXPECT_FALSE(is_valid(contract(1, limits::kMaxBurst + 1)));
  EXPECT_FALSE(is_valid(contract(1, 0)));
  EXPECT_FALSE(is_valid(contract(0, 1)));
  EXPECT_FALSE(is_valid(contract(-1, 1)));
  EXPECT_FALSE(is_valid({.rate = {.micro_tokens = 1, .period_ns = 0}, .burst = 1}));
  EXPECT_FALSE(is_valid({.rate = {.micro_tokens = 1, .period_ns = -1}, .burst = 1}));
  EXPECT_TRUE(is_valid({.rate = {.micro_tokens = 1000, .period_ns = 1}, .burst = 1}));
  EXPECT_FALSE(is_valid({.rate = {.micro_tokens = 1001, .period_ns = 1}, .burst = 1}));
  EXPECT_FALSE(is_valid({.rate = {.micro_tokens = INT64_MAX, .period_ns = 1}, .burst = 1}));
}

// ---- Rates as text ---------------------------------------------------------------------------

TEST(TokenRate, IsReadExactlyWithTheShortestPeriod) {
  EXPECT_EQ(parse_rate_per_second("1000"), (TokenRate{1'000'000'000, kSecond}));
  EXPECT_EQ(parse_rate_per_second("1e3"), (TokenRate{1'000'000'000, kSecond}));
  EXPECT_EQ(parse_rate_per_second("0.5"), (TokenRate{500'000, kSecond}));
  EXPECT_EQ(parse_rate_per_second("0.000001"), (TokenRate{1, kSecond}));
  EXPECT_EQ(parse_rate_per_second("0.0000001"), (TokenRate{1, 10 * kSecond}));
  EXPECT_EQ(parse_rate_per_second("0.000000000001"), (TokenRate{1, 1'000'000 * kSecond}));
  EXPECT_EQ(parse_rate_per_second("1.0000005"), (TokenRate{10'000'005, 10 * kSecond}));
  EXPECT_EQ(parse_rate_per_second("1000000"), (TokenRate{1'000'000'000'000, kSecond}));
}

TEST(TokenRate, IsRefusedWhereItIsNoRate) {
  for (const std::string_view text :
       {"", "0", "0.0", "-0", "-1", "0.0000000000001", "1.0000000000001", "1000000.000001",
        "1000001", "1e400", "abc", "1/s", " 1", "NaN", "1e9", "1000000000000"}) {
    EXPECT_FALSE(parse_rate_per_second(text)) << text;
  }
  EXPECT_TRUE(parse_rate_per_second("1.0000000000000000"));
}

TEST(TokenRate, IsWrittenAsTheShortestDecimalThatIsReadBack) {
  for (const std::string text :
       {"1", "10", "1000", "1000000", "0.5", "0.25", "16.766", "0.000001", "0.0000001",
        "0.000000000001", "999999.999999999999", "100.001", "0.1", "3.0625"}) {
    EXPECT_EQ(format_rate_per_second(*parse_rate_per_second(text)), text);
  }
  EXPECT_EQ(format_rate_per_second(*parse_rate_per_second("1e3")), "1000");
  EXPECT_EQ(format_rate_per_second({2'000'000, 2 * kSecond}), "1") << "another period, same rate";
}

TEST(TokenBucket, ValuesAreEmptyAndDeniedUntilMoreIsSaid) {
  EXPECT_EQ(kMicroTokensPerToken, 1'000'000);
  EXPECT_EQ(kLongestWait.us, INT64_MAX / 2);
  EXPECT_EQ(TokenRate{}, (TokenRate{.micro_tokens = 0, .period_ns = 1'000'000'000}));
  EXPECT_EQ(BucketContract{}.burst, 1);
  EXPECT_EQ(TakeResult{}.outcome, Take::denied);
  EXPECT_EQ(TakeResult{}.remaining, 0);
  EXPECT_EQ(TokenBucket::State{},
            (TokenBucket::State{.used = 0, .virtual_time = 0, .remainder = 0}));
}

TEST(TokenRate, IsRoundedToTwelveDigitsWhereItHasNoDecimal) {
  EXPECT_EQ(format_rate_per_second({kMicroTokensPerToken, kDay}), "0.000011574074");
  EXPECT_EQ(format_rate_per_second({kMicroTokensPerToken, 3 * kSecond}), "0.333333333333");
  EXPECT_EQ(format_rate_per_second({2 * kMicroTokensPerToken, 3 * kSecond}), "0.666666666667");
  EXPECT_EQ(format_rate_per_second({1000 * 7 - 1, 7}), "999857.142857142857");
  EXPECT_EQ(format_rate_per_second({3, 7}), "428.571428571429") << "0.57 of the last digit";
}

}  // namespace
}  // namespace penstock::domain
