#include "adapters/system/process_start.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <ios>
#include <iterator>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace penstock::system {
namespace {

constexpr const char* kNoMemory =
    "out of memory; give the process more (ulimit -v, or the container's limit)";
constexpr int kLastWordMs = 1'000;

/// Standard error may be a pipe that nobody reads.
void say_last_word(std::string_view line) {
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&room, 1, kLastWordMs) != 1) return;
  [[maybe_unused]] ssize_t const written = ::write(STDERR_FILENO, line.data(), line.size());
}

[[noreturn]] void end_of_process() {
  // Where memory has run out nothing can be allocated for the message.
  std::array<char, 512> line{};
  char* end = line.data();
  auto const add = [&](const char* text) {
    auto const room = static_cast<std::size_t>(line.data() + line.size() - 1 - end);
    end = std::copy_n(text, std::min(std::strlen(text), room), end);
  };
  add("penstock: ended by an error that nothing handles: ");
  try {
    if (auto const current = std::current_exception()) std::rethrow_exception(current);
    add("no exception");
  } catch (const std::bad_alloc&) {
    add(kNoMemory);
  } catch (const std::exception& error) {
    add(error.what());
  } catch (...) {
    add("of an unknown kind");
  }
  *end++ = '\n';
  say_last_word({line.data(), static_cast<std::size_t>(end - line.data())});
  ::_exit(EXIT_FAILURE);
}

bool is_for_want_of_threads(const std::exception& error) {
  const auto* const failure = dynamic_cast<const std::system_error*>(&error);
  return failure != nullptr && failure->code() == std::errc::resource_unavailable_try_again;
}

}  // namespace

void open_standard_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is given, and those below are open by now.
    int const mode = descriptor == STDOUT_FILENO ? O_RDONLY : O_WRONLY;
    [[maybe_unused]] int const opened = ::open("/dev/null", mode);
  }
}

void leave_no_core_dumps() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = 0;
  ::setrlimit(RLIMIT_CORE, &limit);
}

bool runs_as_root() {
  return ::geteuid() == 0;
}

void ignore_broken_pipes() {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
}

void end_on_uncaught_exceptions() {
  std::set_terminate(end_of_process);
}

std::string sentence_of(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return kNoMemory;
  if (is_for_want_of_threads(error)) {
    return fmt::format(
        "cannot start a thread: {}; raise the limit of processes (ulimit -u) or of memory (ulimit "
        "-v)",
        std::generic_category().message(EAGAIN));
  }
  return error.what();
}

std::expected<void, std::string> can_start_threads(std::size_t count) {
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
  std::vector<std::thread> threads;
  std::expected<void, std::string> answer;
  try {
    threads.reserve(count);
    for (std::size_t thread = 0; thread < count; ++thread) {
      threads.emplace_back([&] {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return over; });
      });
    }
  } catch (const std::exception& error) {
    answer = std::unexpected(fmt::format("{} ({} of {} threads were to be had)", sentence_of(error),
                                         threads.size(), count));
  }
  {
    std::lock_guard const lock(mutex);
    over = true;
  }
  changed.notify_all();
  for (std::thread& thread : threads) thread.join();
  return answer;
}

}  // namespace penstock::system
