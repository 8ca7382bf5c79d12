#include "adapters/system/system_clock.h"

#include <atomic>
#include <cstdint>

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

/// How far behind the wall clock is set in this program.
std::atomic<std::int64_t> behind_s{0};

}  // namespace

/// Stands in for the C library's in this program.
extern "C" int clock_gettime(clockid_t clock, timespec* reading) noexcept {
  const auto failed = static_cast<int>(::syscall(SYS_clock_gettime, clock, reading));
  if (failed == 0 && clock == CLOCK_REALTIME) reading->tv_sec -= behind_s.load();
  return failed;
}

namespace penstock::system {
namespace {

TEST(SystemClock, slows_down_while_the_wall_clock_is_set_back) {
  SystemClock clock;
  domain::Now const before = clock.now();
  behind_s = 3'600;
  domain::Now const set_back = clock.now();
  EXPECT_EQ(set_back.wall, before.wall);
  EXPECT_GT(set_back.monotonic, before.monotonic);
  domain::Now later = clock.now();
  while (later.wall == before.wall) later = clock.now();
  EXPECT_LE((later.wall - before.wall).us * 2,
            (later.monotonic.ns - set_back.monotonic.ns) / 1'000 + 1);
  behind_s = 0;
  EXPECT_GT(clock.now().wall, later.wall);
}

TEST(SystemClock, counts_nanoseconds_since_boot) {
  SystemClock clock;
  timespec before{};
  ::syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &before);
  std::int64_t const read_ns = clock.now().monotonic.ns;
  timespec after{};
  ::syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &after);
  EXPECT_GE(read_ns, std::int64_t{before.tv_sec} * 1'000'000'000 + before.tv_nsec);
  EXPECT_LE(read_ns, std::int64_t{after.tv_sec} * 1'000'000'000 + after.tv_nsec);
}

}  // namespace
}  // namespace penstock::system
