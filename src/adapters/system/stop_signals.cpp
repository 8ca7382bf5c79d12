#include "adapters/system/stop_signals.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <system_error>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "domain/check.h"

namespace penstock::system {
namespace {

constexpr std::array kStopSignals{SIGTERM, SIGINT, SIGHUP};

/// nohup(1) and shells that put a job into the background start a process with a signal ignored,
/// and so it stays.
bool is_ignored(int number) {
  struct sigaction present{};
  return ::sigaction(number, nullptr, &present) == 0 && present.sa_handler == SIG_IGN;
}

sigset_t stop_set() {
  sigset_t set;
  ::sigemptyset(&set);
  for (int const number : kStopSignals) {
    if (!is_ignored(number)) ::sigaddset(&set, number);
  }
  return set;
}

void exit_now(int) {
  ::_exit(0);
}

}  // namespace

StopSignals::StopSignals() {
  sigset_t const set = stop_set();
  PENSTOCK_CHECK(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0, "signals can be blocked");
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  notification_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signals_ < 0 || notification_ < 0) {
    throw std::system_error(errno, std::generic_category(),
                            "signals cannot be waited for; raise ulimit -n");
  }
}

StopSignals::~StopSignals() {
  ::close(signals_);
  ::close(notification_);
  sigset_t const set = stop_set();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

StopCause StopSignals::wait(std::optional<std::chrono::milliseconds> timeout) {
  using Clock = std::chrono::steady_clock;
  auto const start = Clock::now();
  while (true) {
    signalfd_siginfo info{};
    if (::read(signals_, &info, sizeof info) == sizeof info) return StopCause::signal;
    std::uint64_t count = 0;
    if (::read(notification_, &count, sizeof count) == sizeof count) return StopCause::notified;
    int left = -1;
    if (timeout) {
      auto const past = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
      if (past >= *timeout) return StopCause::timeout;
      left = static_cast<int>((*timeout - past).count());
    }
    std::array<pollfd, 2> waiting{pollfd{signals_, POLLIN, 0}, pollfd{notification_, POLLIN, 0}};
    ::poll(waiting.data(), waiting.size(), left);
  }
}

void StopSignals::notify() const {
  std::uint64_t const one = 1;
  // A full counter is a notification already.
  [[maybe_unused]] ssize_t const written = ::write(notification_, &one, sizeof one);
}

void StopSignals::exit_on_next() {
  struct sigaction exit{};
  exit.sa_handler = exit_now;
  sigset_t const set = stop_set();
  for (int const number : kStopSignals) {
    if (!is_ignored(number)) ::sigaction(number, &exit, nullptr);
  }
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace penstock::system
