#pragma once

#include <mutex>

#include "domain/monotone_wall.h"
#include "ports/clock.h"

namespace penstock::system {

/// The machine's clocks: CLOCK_REALTIME in UTC microseconds, slowed down instead of going back
/// (domain::MonotoneWall), and CLOCK_BOOTTIME in nanoseconds, which counts suspended time.
/// Thread-safe.
class SystemClock : public ports::Clock {
 public:
  domain::Now now() override;
  /// Goes on from `stored`, the latest time of a store, where the machine's clock is behind it.
  void not_before(domain::Instant stored) override;

 private:
  std::mutex mutex_;
  domain::MonotoneWall wall_;
};

}  // namespace penstock::system
