#include "domain/token_bucket.h"

#include <algorithm>
#include <cstddef>

#include "domain/check.h"
#include "domain/decimal.h"
#include "domain/digits.h"
#include "domain/int128.h"
#include "domain/limits.h"

namespace penstock::domain {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
constexpr std::int64_t kNanosPerMicro = 1'000;
constexpr int kRateFractionDigits = 12;
/// In this many nanoseconds a rate of n * 10^-12 tokens a second gives n micro-tokens.
constexpr std::int64_t kFinestPeriod = 1'000'000'000'000'000;
/// Where V and used shift down together.
constexpr std::int64_t kShiftAt = std::int64_t{1} << 62;

static_assert(limits::kMaxBurst * kMicroTokensPerToken < kShiftAt,
              "after a shift virtual time is at most the burst");
static_assert(limits::kMaxRatePerSecond <= kPowersOfTen[18] / kPowersOfTen[kRateFractionDigits]);

/// Divides values >= 0; the 64-bit division is several times faster and nearly always enough.
Int128 divide_up(Int128 dividend, std::int64_t divisor) {
  const Int128 rounded = dividend + (divisor - 1);
  if (rounded <= INT64_MAX) return static_cast<std::int64_t>(rounded) / divisor;
  return rounded / divisor;
}

}  // namespace

std::optional<TokenRate> parse_rate_per_second(std::string_view decimal) {
  const std::expected<std::int64_t, DecimalError> trillionths = parse_decimal(
      decimal, {.fraction_digits = kRateFractionDigits,
                .maximum = limits::kMaxRatePerSecond * kPowersOfTen[kRateFractionDigits]});
  if (!trillionths || *trillionths == 0) return std::nullopt;
  TokenRate rate{.micro_tokens = *trillionths, .period_ns = kFinestPeriod};
  while (rate.period_ns > kNanosPerSecond && rate.micro_tokens % 10 == 0) {
    rate.micro_tokens /= 10;
    rate.period_ns /= 10;
  }
  return rate;
}

std::string format_rate_per_second(TokenRate rate) {
  PENSTOCK_CHECK(is_valid({.rate = rate, .burst = 1}), "a token rate is not one");
  const Int128 trillionths =
      (static_cast<Int128>(rate.micro_tokens) * kFinestPeriod + rate.period_ns / 2) /
      rate.period_ns;
  constexpr std::int64_t kUnit = kPowersOfTen[kRateFractionDigits];
  std::string text = std::to_string(static_cast<std::int64_t>(trillionths / kUnit));
  const auto fraction = static_cast<std::uint64_t>(trillionths % kUnit);
  if (fraction == 0) return text;
  char digits[1 + kRateFractionDigits] = {'.'};
  write_digits(digits + 1, fraction, kRateFractionDigits);
  text.append(digits, sizeof digits);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

bool is_valid(const BucketContract& contract) {
  const TokenRate& rate = contract.rate;
  return rate.micro_tokens > 0 && rate.period_ns > 0 && contract.burst >= 1 &&
         contract.burst <= limits::kMaxBurst &&
         static_cast<Int128>(rate.micro_tokens) * kNanosPerSecond <=
             static_cast<Int128>(rate.period_ns) * limits::kMaxRatePerSecond * kMicroTokensPerToken;
}

TokenBucket::TokenBucket(BucketContract contract, State state, MonotonicTime now)
    : contract_(contract), state_(state), last_(now) {
  PENSTOCK_CHECK(is_valid(contract), "a bucket has no valid contract");
}

TokenBucket::TokenBucket(BucketContract contract, MonotonicTime now)
    : TokenBucket(contract, State{.virtual_time = contract.burst * kMicroTokensPerToken}, now) {}

TokenBucket TokenBucket::restore(BucketContract contract, State state, MonotonicTime now,
                                 std::int64_t elapsed_ns) {
  PENSTOCK_CHECK(state.used >= 0 && state.used <= state.virtual_time && state.remainder >= 0,
                 "a bucket's stored state is none that a bucket had");
  if (state.remainder >= contract.rate.period_ns) state.remainder = 0;
  TokenBucket bucket(contract, state, now);
  bucket.refill(std::max<std::int64_t>(elapsed_ns, 0));
  return bucket;
}

std::int64_t TokenBucket::floor_of_used() const {
  return std::max(state_.used, state_.virtual_time - contract_.burst * kMicroTokensPerToken);
}

void TokenBucket::advance(MonotonicTime now) {
  if (now <= last_) return;
  const Int128 elapsed = static_cast<Int128>(now.ns) - last_.ns;
  last_ = now;
  refill(static_cast<std::int64_t>(std::min<Int128>(elapsed, INT64_MAX)));
}

void TokenBucket::refill(std::int64_t elapsed_ns) {
  const Int128 gained =
      static_cast<Int128>(contract_.rate.micro_tokens) * elapsed_ns + state_.remainder;
  const std::int64_t period = contract_.rate.period_ns;
  Int128 virtual_time = state_.virtual_time;
  if (gained <= INT64_MAX) {
    virtual_time += static_cast<std::int64_t>(gained) / period;
    state_.remainder = static_cast<std::int64_t>(gained) % period;
  } else {
    virtual_time += gained / period;
    state_.remainder = static_cast<std::int64_t>(gained % period);
  }
  const Int128 floor =
      std::max<Int128>(state_.used, virtual_time - contract_.burst * kMicroTokensPerToken);
  if (virtual_time - floor == contract_.burst * kMicroTokensPerToken) state_.remainder = 0;
  if (virtual_time >= kShiftAt) {
    // The level is what counts, and max(used, V - burst) holds it, whatever was subtracted.
    virtual_time -= floor;
    state_.used = 0;
  }
  state_.virtual_time = static_cast<std::int64_t>(virtual_time);
}

Duration TokenBucket::time_to_grow(std::int64_t micro_tokens, MonotonicTime now) const {
  const Int128 missing =
      static_cast<Int128>(micro_tokens) * contract_.rate.period_ns - state_.remainder;
  // While the clock is behind the last time seen, nothing grows.
  const Int128 behind = std::max<Int128>(static_cast<Int128>(last_.ns) - now.ns, 0);
  const Int128 nanoseconds = behind + divide_up(missing, contract_.rate.micro_tokens);
  const Int128 microseconds = divide_up(nanoseconds, kNanosPerMicro);
  return Duration{static_cast<std::int64_t>(std::min<Int128>(microseconds, kLongestWait.us))};
}

TakeResult TokenBucket::take(std::int64_t tokens, MonotonicTime now) {
  PENSTOCK_CHECK(tokens >= 0, "a take has a negative cost");
  advance(now);
  TakeResult result;
  std::int64_t floor = floor_of_used();
  if (tokens > contract_.burst) {
    result.outcome = Take::exceeds_capacity;
  } else {
    const std::int64_t cost = tokens * kMicroTokensPerToken;
    const std::int64_t missing = floor - state_.virtual_time + cost;
    if (missing <= 0) {
      result.outcome = Take::allowed;
      floor += cost;
      if (cost > 0) state_.used = floor;
    } else {
      result.outcome = Take::denied;
      result.wait = time_to_grow(missing, now);
    }
  }
  const std::int64_t level = state_.virtual_time - floor;
  result.remaining = std::max<std::int64_t>(level, 0) / kMicroTokensPerToken;
  const std::int64_t to_full = contract_.burst * kMicroTokensPerToken - level;
  if (to_full > 0) result.full_in = time_to_grow(to_full, now);
  return result;
}

void TokenBucket::set_contract(BucketContract contract, MonotonicTime now) {
  PENSTOCK_CHECK(is_valid(contract), "a bucket has no valid contract");
  advance(now);
  if (contract == contract_) return;
  state_.used = floor_of_used();
  state_.remainder = static_cast<std::int64_t>(static_cast<Int128>(state_.remainder) *
                                               contract.rate.period_ns / contract_.rate.period_ns);
  contract_ = contract;
  refill(0);
}

}  // namespace penstock::domain
