#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "domain/instant.h"

namespace penstock::domain {

inline constexpr std::int64_t kMicroTokensPerToken = 1'000'000;

/// A refill rate as an exact fraction: `micro_tokens` every `period_ns`. One order a day is
/// {1'000'000, 86'400 * 10^9}. Both > 0; at most kMaxRatePerSecond tokens a second.
struct TokenRate {
  std::int64_t micro_tokens = 0;
  std::int64_t period_ns = 1'000'000'000;

  bool operator==(const TokenRate&) const = default;
};

/// Reads tokens per second from a decimal of at most 12 fractional digits, exactly; nothing if it
/// is malformed, zero, negative, finer than that, or above kMaxRatePerSecond.
std::optional<TokenRate> parse_rate_per_second(std::string_view decimal);

/// The decimal that parse_rate_per_second reads back as the same rate, if there is one of at most
/// 12 digits, else rounded to 12: "1000", "0.5". `rate` must be one that is_valid() accepts.
std::string format_rate_per_second(TokenRate rate);

/// Rate and burst of one tenant; burst in whole tokens, 1..kMaxBurst.
struct BucketContract {
  TokenRate rate;
  std::int64_t burst = 1;

  bool operator==(const BucketContract&) const = default;
};

/// True if a bucket can be built from `contract`: rate above zero and at most kMaxRatePerSecond,
/// burst in 1..kMaxBurst.
bool is_valid(const BucketContract& contract);

/// What `wait` and `full_in` are at most (146 000 years), so that adding them to an Instant or to
/// each other cannot overflow.
inline constexpr Duration kLongestWait{INT64_MAX / 2};

enum class Take { allowed, denied, exceeds_capacity };

struct TakeResult {
  Take outcome = Take::denied;
  std::int64_t remaining = 0;  ///< whole tokens left, rounded down, 0..burst
  /// denied: time from `now` until this take would be allowed, rounded up to the microsecond; else
  /// zero. The take is allowed at `now + wait` and not a microsecond before, if nothing else is
  /// taken meanwhile.
  Duration wait;
  /// Time from `now` until the bucket is full again, rounded up to the microsecond.
  Duration full_in;
};

/// GCRA (ITU-T I.371, generic cell rate algorithm) on a virtual clock. `used` and `virtual_time`
/// are micro-tokens; virtual time advances with the rate, and the remainder of its division is
/// carried, so a change of rate mints nothing and destroys nothing. A full bucket carries no
/// remainder: it would be capacity beyond the burst, and every window of length w admits at most
/// burst + rate * w, exactly. Both shift down together before 2^62. A monotonic time before the
/// last one seen advances nothing (a clock that goes back may only deny).
/// Plain value, not thread-safe. Products are 128-bit. A new bucket is full. A contract that is not
/// is_valid() is a bug and stops the process.
class TokenBucket {
 public:
  /// What is stored, beside the contract it belongs to; 0 <= used <= virtual_time, remainder >= 0.
  struct State {
    std::int64_t used = 0;
    std::int64_t virtual_time = 0;
    std::int64_t remainder = 0;  ///< numerator left over, < the contract's period_ns
    bool operator==(const State&) const = default;
  };

  TokenBucket(BucketContract contract, MonotonicTime now);

  /// Continues from a stored state under the contract that it was stored under; a contract that
  /// changed while the process was down is set afterwards, as set_contract carries the level over.
  /// A remainder that cannot belong to `contract` counts as zero. The time since it was stored
  /// counts as `elapsed_ns` (>= 0): the difference of monotonic times under the same boot id, else
  /// zero. A restart never mints.
  static TokenBucket restore(BucketContract contract, State state, MonotonicTime now,
                             std::int64_t elapsed_ns);

  /// Takes `tokens` (>= 0, else a bug) if used' + cost <= V with used' = max(used, V - burst); a
  /// denial or a take of zero (a peek) writes nothing to `used`. More than burst is
  /// exceeds_capacity.
  TakeResult take(std::int64_t tokens, MonotonicTime now);

  /// Starts a new epoch under another contract. The level, at most the old burst, is carried: a
  /// larger burst starts no fuller than the old one was, a smaller one clips by the rule of `take`.
  /// The fraction of a micro-token is carried too, rounded down where the new period cannot express
  /// it. Equal contracts change nothing.
  void set_contract(BucketContract contract, MonotonicTime now);

  const BucketContract& contract() const { return contract_; }
  State state() const { return state_; }
  /// The latest time seen, which `state` is of.
  MonotonicTime seen() const { return last_; }

 private:
  TokenBucket(BucketContract contract, State state, MonotonicTime now);

  /// What `take` subtracts from: max(used, V - burst).
  std::int64_t floor_of_used() const;
  void advance(MonotonicTime now);
  void refill(std::int64_t elapsed_ns);
  /// Time from `now` until virtual time has grown by `micro_tokens`, rounded up.
  Duration time_to_grow(std::int64_t micro_tokens, MonotonicTime now) const;

  BucketContract contract_;
  State state_;
  MonotonicTime last_;
};

}  // namespace penstock::domain
