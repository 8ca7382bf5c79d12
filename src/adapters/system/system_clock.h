#pragma once

#include <atomic>
#include <cstdint>

#include "ports/clock.h"

namespace penstock::system {

/// The machine's clocks: CLOCK_REALTIME in UTC microseconds, held at its maximum while the clock is
/// set back, and CLOCK_BOOTTIME in nanoseconds, which counts suspended time. Thread-safe.
class SystemClock : public ports::Clock {
 public:
  domain::Now now() override;

 private:
  std::atomic<std::int64_t> latest_us_{0};
};

}  // namespace penstock::system
