#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace penstock::system {

/// Takes whole lines from any thread and hands them to a descriptor on a thread of its own, which
/// is the only one that ever waits for whoever reads them. Shared with that thread, so that it may
/// be left behind where the descriptor never takes what it was given.
class LogWriter : public std::enable_shared_from_this<LogWriter> {
 public:
  /// Makes the line that tells of `lines` lost ones.
  using TellLost = std::function<std::string(std::uint64_t lines)>;
  enum class Hurry : bool { no, yes };

  /// Writes to a copy of `descriptor`.
  LogWriter(int descriptor, std::size_t most_bytes, TellLost tell_lost);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  /// Starts the thread. Once; throws std::system_error where there is none to be had.
  void start();
  /// Never waits. A line that finds no room is counted and lost.
  void add(std::string_view line, Hurry hurry);
  std::uint64_t lost() const;
  /// Waits up to `longest` until every line so far was taken or refused; whether it was.
  bool flush(std::chrono::milliseconds longest);
  /// Ends the thread once every line is out, or leaves it behind after `longest`. `tell_lost` is
  /// not called afterwards.
  void stop(std::chrono::milliseconds longest);

 private:
  void run();
  /// Blocks; bounded only by the reader and by `abandoned_`. The bytes that were written.
  std::size_t hand_over(std::string_view lines);
  bool wait_for_room() const;

  int descriptor_;
  bool owned_ = false;
  std::size_t piece_bytes_;  ///< of one write
  std::size_t most_bytes_;

  mutable std::mutex mutex_;  ///< guards what follows it; never held while the thread writes
  std::condition_variable changed_;
  std::condition_variable handed_over_;
  TellLost tell_lost_;
  std::string waiting_;
  std::uint64_t added_ = 0;  ///< bytes so far; by `passed_` the thread is told what is done
  std::uint64_t passed_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t untold_ = 0;
  bool hurry_ = false;
  bool stopping_ = false;
  bool abandoned_ = false;
  bool ended_ = false;
  bool mid_line_ = false;  ///< the thread's own: the descriptor took a part of a line
};

}  // namespace penstock::system
