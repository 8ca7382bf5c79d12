#include "adapters/system/system_clock.h"

#include <cstdint>
#include <ctime>

namespace penstock::system {
namespace {

std::int64_t nanoseconds_of(clockid_t clock) {
  timespec reading{};
  ::clock_gettime(clock, &reading);
  return std::int64_t{reading.tv_sec} * 1'000'000'000 + reading.tv_nsec;
}

}  // namespace

domain::Now SystemClock::now() {
  std::lock_guard const lock(mutex_);
  domain::Instant const wall{nanoseconds_of(CLOCK_REALTIME) / 1000};
  domain::MonotonicTime const monotonic{nanoseconds_of(CLOCK_BOOTTIME)};
  return {.wall = wall_.read(wall, monotonic), .monotonic = monotonic};
}

void SystemClock::not_before(domain::Instant stored) {
  std::lock_guard const lock(mutex_);
  wall_.not_before(stored);
}

}  // namespace penstock::system
