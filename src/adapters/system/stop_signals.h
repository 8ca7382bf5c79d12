#pragma once

#include <chrono>
#include <optional>

namespace penstock::system {

enum class StopCause { signal, notified, timeout };

/// SIGTERM, SIGINT and SIGHUP as something to wait for, except what was ignored from the start.
/// While it lives they are blocked in the thread that made it and in every thread started after
/// that, so make it before the first thread. One a process.
class StopSignals {
 public:
  /// Throws std::system_error where no descriptor is to be had.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Waits for a signal, for `notify`, or for the time; a signal comes first where there are both.
  /// Without a time it waits for ever. One thread.
  StopCause wait(std::optional<std::chrono::milliseconds> timeout = std::nullopt);

  /// Ends one wait, the present or the next. Any thread.
  void notify() const;

  /// From now on a signal ends the process at once with exit code 0. Nothing acknowledged is lost
  /// by that: it is on disk.
  void exit_on_next();

 private:
  int signals_ = -1;
  int notification_ = -1;
};

}  // namespace penstock::system
