#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "domain/int128.h"
#include "domain/limits.h"
#include "domain/token_bucket.h"

namespace penstock::domain {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

Int128 divide_up(Int128 dividend, Int128 divisor) {
  return dividend / divisor + (dividend % divisor > 0 ? 1 : 0);
}

/// The textbook bucket in exact arithmetic: a level in units of 1/kUnit micro-token, refilled with
/// the time and cut at the burst. No virtual clock, no division, nothing rounded.
class ExactBucket {
 public:
  /// A multiple of every period that the schedules use.
  static constexpr Int128 kUnit = Int128{21} * 86'400 * kSecond;

  ExactBucket(BucketContract contract, std::int64_t now_ns)
      : contract_(contract), level_(capacity()), last_ns_(now_ns) {}

  void advance(std::int64_t now_ns) {
    if (now_ns <= last_ns_) return;
    gained_ += per_nanosecond() * (now_ns - last_ns_);
    level_ = std::min(capacity(), level_ + per_nanosecond() * (now_ns - last_ns_));
    last_ns_ = now_ns;
  }
  bool admits(std::int64_t tokens) const { return cost(tokens) <= level_; }
  void take(std::int64_t tokens) { level_ -= cost(tokens); }
  void set_contract(BucketContract contract, std::int64_t now_ns) {
    advance(now_ns);
    contract_ = contract;
    level_ = std::min(level_, capacity());
  }
  /// Another boot: the time in between is lost.
  void restart(std::int64_t now_ns) { last_ns_ = now_ns; }

  std::int64_t remaining() const {
    return static_cast<std::int64_t>(level_ / (kUnit * kMicroTokensPerToken));
  }
  /// Microseconds from `now_ns` until the level has reached `wanted`, rounded up.
  std::int64_t wait_us(Int128 wanted, std::int64_t now_ns) const {
    if (wanted <= level_) return 0;
    const Int128 behind = std::max<std::int64_t>(last_ns_ - now_ns, 0);
    return static_cast<std::int64_t>(std::min<Int128>(
        divide_up(behind + divide_up(wanted - level_, per_nanosecond()), 1000), kLongestWait.us));
  }
  static Int128 cost(std::int64_t tokens) { return kUnit * kMicroTokensPerToken * tokens; }
  Int128 capacity() const { return cost(contract_.burst); }
  Int128 level() const { return level_; }
  Int128 gained() const { return gained_; }

 private:
  Int128 per_nanosecond() const {
    return kUnit / contract_.rate.period_ns * contract_.rate.micro_tokens;
  }

  BucketContract contract_;
  Int128 level_;
  Int128 gained_ = 0;
  std::int64_t last_ns_;
};

/// One admission, for the windows.
struct Admission {
  Int128 gained = 0;          // exact refill since the start, as if never full
  Int128 burst = 0;           // in force when it was admitted
  Int128 admitted_until = 0;  // this one included
  Int128 cost = 0;
};

void expect_every_window_within_contract(const std::vector<Admission>& admissions,
                                         std::uint64_t seed) {
  for (std::size_t first = 0; first < admissions.size(); ++first) {
    const Int128 before = admissions[first].admitted_until - admissions[first].cost;
    for (std::size_t last = first; last < admissions.size(); ++last) {
      const Int128 admitted = admissions[last].admitted_until - before;
      const Int128 entitled =
          admissions[first].burst + (admissions[last].gained - admissions[first].gained);
      ASSERT_TRUE(admitted <= entitled) << "seed " << seed << " window " << first << ".." << last;
    }
  }
}

enum class Periods { one, several };

/// A random schedule of takes, peeks, idle times, rate changes, restarts and backward steps.
class Schedule {
 public:
  Schedule(std::uint64_t seed, Periods periods) : random_(seed), periods_(periods) {
    // A schedule's own scale: from a token an hour to the highest rate.
    magnitude_ = 1 + random_() % 12;
    base_period_ = kPeriods[random_() % std::size(kPeriods)];
  }

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  BucketContract contract() {
    const std::int64_t period =
        periods_ == Periods::one ? base_period_ : kPeriods[random_() % std::size(kPeriods)];
    std::int64_t scale = 1;
    for (std::uint64_t i = 0; i < magnitude_; ++i) scale *= 10;
    const Int128 highest = Int128{limits::kMaxRatePerSecond} * kMicroTokensPerToken * period;
    const auto micro_tokens =
        1 + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(scale)));
    const std::int64_t bursts[] = {1, 2, 7, 100, 12'345};
    return {.rate = {.micro_tokens =
                         std::min(micro_tokens, static_cast<std::int64_t>(highest / kSecond)),
                     .period_ns = period},
            .burst = bursts[below(std::size(bursts))]};
  }

  /// Nanoseconds, from none to a multiple of the time to a token.
  std::int64_t step(const BucketContract& contract) {
    const Int128 token =
        Int128{kMicroTokensPerToken} * contract.rate.period_ns / contract.rate.micro_tokens;
    const auto bounded = static_cast<std::uint64_t>(std::clamp<Int128>(token, 2, kSecond * 86'400));
    switch (below(6)) {
      case 0:
        return 0;
      case 1:
        return 1;
      case 2:
        return static_cast<std::int64_t>(bounded);
      case 3:
        return static_cast<std::int64_t>(below(bounded * 20));
      default:
        return static_cast<std::int64_t>(below(bounded));
    }
  }

 private:
  static constexpr std::int64_t kPeriods[] = {
      kSecond, 3 * kSecond, 7 * kSecond, 3600 * kSecond, 86'400 * kSecond, 1, 1000};
  std::mt19937_64 random_;
  Periods periods_;
  std::uint64_t magnitude_ = 1;
  std::int64_t base_period_ = kSecond;
};

void expect_wait_is_exact(const TokenBucket& bucket, const TakeResult& denied, std::int64_t tokens,
                          std::int64_t now_ns) {
  if (denied.wait.us > INT64_MAX / 2000) return;  // further away than the clock can count
  TokenBucket then = bucket;
  ASSERT_EQ(then.take(tokens, {now_ns + denied.wait.us * 1000}).outcome, Take::allowed);
  TokenBucket early = bucket;
  ASSERT_EQ(early.take(tokens, {now_ns + (denied.wait.us - 1) * 1000}).outcome, Take::denied);
}

/// Both buckets through one schedule.
class Race {
 public:
  Race(std::uint64_t seed, Periods periods)
      : schedule_(seed, periods),
        contract_(schedule_.contract()),
        now_ns_(static_cast<std::int64_t>(schedule_.below(1000))),
        exact_(contract_, now_ns_),
        bucket_(contract_, {now_ns_}) {}

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      const std::uint64_t choice = schedule_.below(100);
      if (choice < 10) {
        change_contract();
      } else if (choice < 14) {
        restart();
      } else {
        take();
      }
    }
  }

  const std::vector<Admission>& admissions() const { return admissions_; }
  int denials() const { return denials_; }

 private:
  void change_contract() {
    now_ns_ += schedule_.step(contract_);
    const BucketContract next = schedule_.contract();
    exact_.set_contract(next, now_ns_);
    bucket_.set_contract(next, {now_ns_});
    // At most one unit of the new period's remainder is cut off.
    slack_ += ExactBucket::kUnit / next.rate.period_ns + 1;
    if (next.rate.period_ns == contract_.rate.period_ns) {
      slack_ -= ExactBucket::kUnit / next.rate.period_ns + 1;
    }
    contract_ = next;
  }

  void restart() {
    exact_.advance(now_ns_);
    bucket_.take(0, {now_ns_});
    if (schedule_.below(2) == 0) {
      now_ns_ = static_cast<std::int64_t>(schedule_.below(1000));
      bucket_ = TokenBucket::restore(contract_, bucket_.state(), {now_ns_}, 0);
      exact_.restart(now_ns_);
      seen_ns_ = now_ns_;
    } else {
      const std::int64_t down = std::max(now_ns_, seen_ns_) - now_ns_ + schedule_.step(contract_);
      const std::int64_t elapsed = now_ns_ + down - std::max(now_ns_, seen_ns_);
      now_ns_ += down;
      bucket_ = TokenBucket::restore(contract_, bucket_.state(), {now_ns_}, elapsed);
      exact_.advance(now_ns_);
    }
  }

  void take() {
    now_ns_ += schedule_.step(contract_);
    // A reading of the clock that went back; the next ones go on from where it was.
    const std::int64_t back = schedule_.below(10) == 0 ? schedule_.step(contract_) : 0;
    const std::int64_t read_ns = now_ns_ - back;
    seen_ns_ = std::max(seen_ns_, read_ns);
    const std::uint64_t kind = schedule_.below(10);
    const std::int64_t tokens =
        kind == 0 ? 0
                  : (kind < 7 ? 1
                              : 1 + static_cast<std::int64_t>(schedule_.below(
                                        static_cast<std::uint64_t>(contract_.burst) + 1)));
    exact_.advance(read_ns);
    const TakeResult result = bucket_.take(tokens, {read_ns});
    ASSERT_GE(result.remaining, 0);
    ASSERT_LE(result.remaining, contract_.burst);
    ASSERT_LT(bucket_.state().virtual_time, std::int64_t{1} << 62);
    if (tokens > contract_.burst) {
      ASSERT_EQ(result.outcome, Take::exceeds_capacity);
      return;
    }
    ASSERT_NO_FATAL_FAILURE(compare(result, tokens, read_ns));
  }

  void compare(const TakeResult& result, std::int64_t tokens, std::int64_t read_ns) {
    if (result.outcome == Take::allowed) {
      ASSERT_TRUE(exact_.admits(tokens)) << "minted";
      exact_.take(tokens);
      if (tokens > 0) {
        const Int128 cost = ExactBucket::cost(tokens);
        total_ += cost;
        admissions_.push_back({exact_.gained(), exact_.capacity(), total_, cost});
      }
    } else {
      ASSERT_EQ(result.outcome, Take::denied);
      ++denials_;
      ASSERT_TRUE(exact_.level() < ExactBucket::cost(tokens) + slack_) << "destroyed";
      ASSERT_NO_FATAL_FAILURE(expect_wait_is_exact(bucket_, result, tokens, read_ns));
    }
    if (slack_ > 0) return;
    ASSERT_EQ(result.remaining, exact_.remaining());
    ASSERT_EQ(result.full_in.us, exact_.wait_us(exact_.capacity(), read_ns));
    const bool denied = result.outcome == Take::denied;
    ASSERT_EQ(result.wait.us, denied ? exact_.wait_us(ExactBucket::cost(tokens), read_ns) : 0);
  }

  Schedule schedule_;
  BucketContract contract_;
  std::int64_t now_ns_;
  std::int64_t seen_ns_ = 0;
  ExactBucket exact_;
  TokenBucket bucket_;
  Int128 slack_ = 0;
  Int128 total_ = 0;
  std::vector<Admission> admissions_;
  int denials_ = 0;
};

// With one period nothing is ever cut off, so every answer equals the exact bucket's.
TEST(TokenBucketProperty, AnswersAsTheExactBucketOverRandomSchedules) {
  std::size_t admissions = 0;
  int denials = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Race race(seed, Periods::one);
    race.run(600);
    ASSERT_FALSE(HasFatalFailure());
    admissions += race.admissions().size();
    denials += race.denials();
  }
  EXPECT_GT(admissions, 10'000U);
  EXPECT_GT(denials, 10'000);
}

TEST(TokenBucketProperty, AdmitsAtMostBurstAndRateInEveryWindow) {
  for (std::uint64_t seed = 1000; seed < 1150; ++seed) {
    for (const Periods periods : {Periods::one, Periods::several}) {
      Race race(seed, periods);
      race.run(400);
      ASSERT_FALSE(HasFatalFailure()) << seed;
      ASSERT_NO_FATAL_FAILURE(expect_every_window_within_contract(race.admissions(), seed));
    }
  }
}

TEST(TokenBucketProperty, NeverMintsAndHardlyLosesWhenThePeriodChanges) {
  for (std::uint64_t seed = 2000; seed < 2300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Race race(seed, Periods::several);
    race.run(600);
    ASSERT_FALSE(HasFatalFailure());
  }
}

// The same schedule far up on the virtual clock, across the shift, answers the same.
TEST(TokenBucketProperty, AnswersTheSameAcrossTheShift) {
  const BucketContract contract{.rate = {.micro_tokens = 7'777'777}, .burst = 9};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const auto level = static_cast<std::int64_t>(random() % 9'000'000);
    const auto distance = static_cast<std::int64_t>(random() % 40'000'000);
    const std::int64_t top = (std::int64_t{1} << 62) - distance;
    TokenBucket low = TokenBucket::restore(
        contract, {.used = 0, .virtual_time = level, .remainder = 12'345}, {0}, 0);
    TokenBucket high = TokenBucket::restore(
        contract, {.used = top - level, .virtual_time = top, .remainder = 12'345}, {0}, 0);
    std::int64_t now = 0;
    for (int i = 0; i < 200; ++i) {
      now += static_cast<std::int64_t>(random() % 200'000'000);
      const auto tokens = static_cast<std::int64_t>(random() % 4);
      const TakeResult expected = low.take(tokens, {now});
      const TakeResult result = high.take(tokens, {now});
      ASSERT_EQ(result.outcome, expected.outcome);
      ASSERT_EQ(result.remaining, expected.remaining);
      ASSERT_EQ(result.wait, expected.wait);
      ASSERT_EQ(result.full_in, expected.full_in);
      ASSERT_EQ(high.state().remainder, low.state().remainder);
      ASSERT_LT(high.state().virtual_time, std::int64_t{1} << 62);
    }
    EXPECT_LT(high.state().virtual_time, 1'000'000'000'000) << "it has shifted";
  }
}

}  // namespace
}  // namespace penstock::domain
