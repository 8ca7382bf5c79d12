#include "main/end_guard.h"

#include <cstdlib>
#include <system_error>

#include <unistd.h>

namespace penstock::main {
namespace {

/// For the log's thread to write the last line.
constexpr std::chrono::milliseconds kLastLine{200};

}  // namespace

EndGuard::~EndGuard() {
  {
    std::lock_guard const lock(mutex_);
    over_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void EndGuard::begin(std::chrono::seconds longest) {
  if (thread_.joinable()) return;
  try {
    thread_ = std::thread([this, longest] { run(longest); });
  } catch (const std::system_error&) {
    log_.write(ports::LogLevel::warning, "no thread is left to bound the end of the process", {});
  }
}

void EndGuard::run(std::chrono::seconds longest) {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, longest, [this] { return over_; })) return;
  log_.write(ports::LogLevel::error,
             "the process does not end by itself in its time and is ended; what was acknowledged "
             "is on disk",
             {{"seconds", longest.count()}});
  changed_.wait_for(lock, kLastLine, [this] { return over_; });
  ::_exit(EXIT_FAILURE);
}

}  // namespace penstock::main
