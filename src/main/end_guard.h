#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "ports/log.h"

namespace penstock::main {

/// How much longer than its drain a process may take to end, whatever a peer, a disk or a thread
/// does.
inline constexpr std::chrono::seconds kEndMargin{20};

/// Bounds the end of a process: once it is over, and this still lives, the process ends with exit
/// code 1 and a line that says so. Nothing acknowledged is lost by that: it is on disk.
class EndGuard {
 public:
  explicit EndGuard(ports::Log& log) : log_(log) {}
  ~EndGuard();
  EndGuard(const EndGuard&) = delete;
  EndGuard& operator=(const EndGuard&) = delete;

  /// Starts to count. Once; where no thread is to be had, the end is not bounded.
  void begin(std::chrono::seconds longest);

 private:
  void run(std::chrono::seconds longest);

  ports::Log& log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace penstock::main
