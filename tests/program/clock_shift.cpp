// A library to preload: the wall clock of the process is off by CLOCK_SHIFT_SECONDS, all other
// clocks are right. Written for a clock test on the real program; allocates nothing, since an
// allocator may ask for the time before anything else runs.
#include <cstdlib>

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  const bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  const char* const shift = std::getenv("CLOCK_SHIFT_SECONDS");
  if (result == 0 && is_wall && shift != nullptr) time->tv_sec += std::atol(shift);
  return static_cast<int>(result);
}
