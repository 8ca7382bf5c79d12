#include "cli/supervised.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/child_process.h"

namespace penstock::cli {
namespace {

constexpr std::array kEnds{SIGINT, SIGTERM, SIGHUP};
/// For processes that were killed to be gone, and to write into the directory no more.
constexpr std::chrono::seconds kGone{10};
constexpr std::chrono::milliseconds kLook{5};

sigset_t watched_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (int const number : kEnds) ::sigaddset(&set, number);
  ::sigaddset(&set, SIGCHLD);
  return set;
}

/// How the process ended: a waitpid status; nothing while it runs. Reaps whatever else has ended.
std::optional<int> ended(pid_t worker) {
  std::optional<int> result;
  int status = 0;
  while (true) {
    pid_t const process = ::waitpid(-1, &status, WNOHANG);
    if (process <= 0) return result;
    if (process == worker) result = status;
  }
}

void await_others() {
  auto const deadline = std::chrono::steady_clock::now() + kGone;
  while (std::chrono::steady_clock::now() < deadline) {
    if (::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) return;
    std::this_thread::sleep_for(kLook);
  }
}

/// What the worker ended with, or what ended it.
int supervise(pid_t worker, const sigset_t& watched) {
  int stopped_by = 0;
  while (true) {
    if (auto const status = ended(worker)) {
      await_others();
      if (stopped_by != 0) return 128 + stopped_by;
      return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
    }
    int const number = ::sigwaitinfo(&watched, nullptr);
    if (number <= 0 || number == SIGCHLD) continue;
    if (stopped_by == 0) stopped_by = number;
    ::kill(worker, SIGKILL);
  }
}

}  // namespace

ExitCode run_supervised(const std::function<ExitCode()>& work) {
  auto directory = std::make_unique<TemporaryDirectory>();
  sigset_t const watched = watched_signals();
  sigset_t before{};
  ::pthread_sigmask(SIG_BLOCK, &watched, &before);
  // What the worker leaves behind becomes this process's child, so that its end can be waited for.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::cout.flush();
  pid_t const parent = ::getpid();
  pid_t const worker = ::fork();
  if (worker < 0) {
    int const number = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw std::runtime_error(fmt::format("cannot start a process: {}; raise ulimit -u",
                                         std::generic_category().message(number)));
  }
  if (worker == 0) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(EXIT_FAILURE);
    // One thread still, and the directory is the other process's.
    ::setenv("TMPDIR", directory->path().c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
    static_cast<void>(directory.release());            // NOLINT(bugprone-unused-return-value)
    return work();
  }
  int const code = supervise(worker, watched);
  directory.reset();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return static_cast<ExitCode>(code);
}

}  // namespace penstock::cli
