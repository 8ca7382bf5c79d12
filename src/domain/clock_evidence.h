#pragma once

#include <algorithm>

#include "domain/instant.h"

namespace penstock::domain {

/// How far a wall clock may be believed where an error cannot be taken back: before history is
/// dropped or a key expires. The evidence is a time that was agreed on when the process started,
/// and what the monotonic clock has counted since. A wall clock that is further ahead than the
/// tolerance was set: only a person can say that it is right, with a start that accepts it.
/// Immutable, thread-safe.
class ClockEvidence {
 public:
  static constexpr Duration kTolerance = Duration::hours(24);

  explicit ClockEvidence(Now agreed) : agreed_(agreed) {}

  /// The latest time that the evidence allows.
  Instant latest(MonotonicTime now) const {
    const Duration elapsed{std::max<std::int64_t>(0, now.ns - agreed_.monotonic.ns) / 1'000};
    return agreed_.wall + elapsed + kTolerance;
  }
  /// Whether the wall clock is within it.
  bool agrees(Now now) const { return now.wall <= latest(now.monotonic); }
  /// The time to drop and to expire by.
  Instant trusted(Now now) const { return std::min(now.wall, latest(now.monotonic)); }

 private:
  Now agreed_;
};

}  // namespace penstock::domain
