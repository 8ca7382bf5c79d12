#pragma once

#include <algorithm>

#include "domain/instant.h"

namespace penstock::domain {

/// A wall clock that never goes back: it follows what is read, and where the clock was set back it
/// goes on at half the speed of the monotonic clock until it is caught up with. Standing still
/// instead would hold every timer for as long as the clock was set back by. Not thread-safe.
class MonotoneWall {
 public:
  /// The time to use, of two readings of one moment; `monotonic` never goes back.
  Instant read(Instant wall, MonotonicTime monotonic) {
    if (wall >= shown_) {
      shown_ = wall;
    } else {
      const Instant slowed = base_ + Duration{(monotonic.ns - base_at_.ns) / 2'000};
      if (slowed < shown_) {
        base_ = shown_;
        base_at_ = monotonic;
      }
      shown_ = std::max({shown_, slowed, wall});
    }
    return shown_;
  }

  /// Shows no less than `stored` from here on: another process showed it before, and wrote down
  /// times that count from it.
  void not_before(Instant stored) { shown_ = std::max(shown_, stored); }

  /// The last one that `read` gave.
  Instant shown() const { return shown_; }

 private:
  Instant shown_;
  Instant base_;  ///< shown at `base_at_`, when it was last set back
  MonotonicTime base_at_;
};

}  // namespace penstock::domain
