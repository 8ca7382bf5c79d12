#include "adapters/system/system_clock.h"

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
  std::int64_t const read_us = nanoseconds_of(CLOCK_REALTIME) / 1000;
  std::int64_t latest = latest_us_.load(std::memory_order_relaxed);
  while (latest < read_us &&
         !latest_us_.compare_exchange_weak(latest, read_us, std::memory_order_relaxed)) {
  }
  std::int64_t const wall_us = latest < read_us ? read_us : latest;
  return {.wall = {wall_us}, .monotonic = {nanoseconds_of(CLOCK_BOOTTIME)}};
}

}  // namespace penstock::system
