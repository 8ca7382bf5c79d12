// A library to preload: the wall clock of the process is off, all other clocks are right. The sum
// of these is added, in seconds; each may be absent:
//   CLOCK_SHIFT_SECONDS  a number; for one process of a test
//   CLOCK_STEP_FILE      a file of eight bytes (int64) that the test changes while the process runs
//   CLOCK_BASE_SECONDS   a number; a whole test run's, see scripts/test-dates
// CLOCK_STARTS_AT (seconds since 1970) sets CLOCK_BASE_SECONDS such that it is this moment when the
// first process starts that is not ctest; its children go on from there.
// Allocates nothing once main runs, since an allocator may ask for the time before anything else.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

namespace {

long number_in(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? 0 : std::atol(text);
}

const std::atomic<std::int64_t>* mapped() {
  const char* const name = std::getenv("CLOCK_STEP_FILE");
  if (name == nullptr) return nullptr;
  const int file = ::open(name, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* const page = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  return page == MAP_FAILED ? nullptr : static_cast<const std::atomic<std::int64_t>*>(page);
}

long shift() {
  static std::atomic<const std::atomic<std::int64_t>*> step = nullptr;
  if (step.load() == nullptr) step = mapped();
  const auto* const stepped = step.load();
  return number_in("CLOCK_BASE_SECONDS") + number_in("CLOCK_SHIFT_SECONDS") +
         (stepped == nullptr ? 0 : static_cast<long>(stepped->load()));
}

__attribute__((constructor)) void begin() {
  const char* const start = std::getenv("CLOCK_STARTS_AT");
  if (start == nullptr || std::getenv("CLOCK_BASE_SECONDS") != nullptr) return;
  if (std::strcmp(program_invocation_short_name, "ctest") == 0) return;
  timespec now{};
  ::syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  char text[32];
  std::snprintf(text, sizeof text, "%ld", std::atol(start) - now.tv_sec);
  ::setenv("CLOCK_BASE_SECONDS", text, 1);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  const bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && is_wall) time->tv_sec += shift();
  return static_cast<int>(result);
}

extern "C" int gettimeofday(timeval* time, void* /*zone*/) noexcept {
  timespec now{};
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return result;
}

extern "C" time_t time(time_t* stored) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (stored != nullptr) *stored = now.tv_sec;
  return now.tv_sec;
}
