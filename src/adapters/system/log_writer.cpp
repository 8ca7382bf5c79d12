#include "adapters/system/log_writer.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock::system {
namespace {

/// Lines that follow soon share the write.
constexpr std::chrono::milliseconds kGathering{20};
/// How often a thread that waits for room looks whether it is still wanted.
constexpr int kLookMs = 50;
constexpr int kAgainMs = 2;
constexpr std::size_t kFilePiece = 256 * 1024;
/// Standard input, output and error stay free for who opens them by number.
constexpr int kFirstFree = 3;

/// A pipe that has room takes this much without making the writer wait (pipe(7)); others get it in
/// the same pieces. A file never makes anybody wait for a reader.
std::size_t piece_of(int descriptor) {
  struct stat status{};
  bool const is_file = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  return is_file ? kFilePiece : PIPE_BUF;
}

/// The length of the whole lines at the start of `lines` within `most`; `most` itself where not one
/// ends in it.
std::size_t whole_lines(std::string_view lines, std::size_t most) {
  if (lines.size() <= most) return lines.size();
  std::size_t const end = lines.substr(0, most).rfind('\n');
  return end == std::string_view::npos ? most : end + 1;
}

std::uint64_t count_lines(std::string_view lines) {
  return static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
}

}  // namespace

LogWriter::LogWriter(int descriptor, std::size_t most_bytes, TellLost tell_lost)
    : descriptor_(::fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstFree)),
      owned_(descriptor_ >= 0),
      piece_bytes_(piece_of(descriptor)),
      most_bytes_(most_bytes),
      tell_lost_(std::move(tell_lost)) {
  if (!owned_) descriptor_ = descriptor;
}

LogWriter::~LogWriter() {
  if (owned_) ::close(descriptor_);
}

void LogWriter::start() {
  std::thread([self = shared_from_this()] {
    // A reader that is gone is an error of the write and not the end of the process.
    sigset_t all{};
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    self->run();
  }).detach();
}

void LogWriter::add(std::string_view line, Hurry hurry) {
  bool wake = false;
  {
    std::lock_guard const lock(mutex_);
    if (waiting_.size() + line.size() > most_bytes_) {
      ++lost_;
      ++untold_;
      return;
    }
    bool const urgent = hurry == Hurry::yes && !hurry_;
    wake = waiting_.empty() || urgent;
    hurry_ = hurry_ || urgent;
    waiting_ += line;
    added_ += line.size();
  }
  if (wake) changed_.notify_one();
}

std::uint64_t LogWriter::lost() const {
  std::lock_guard const lock(mutex_);
  return lost_;
}

bool LogWriter::flush(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  std::uint64_t const wanted = added_;
  hurry_ = true;
  changed_.notify_one();
  return handed_over_.wait_for(lock, longest, [&] { return passed_ >= wanted || ended_; });
}

void LogWriter::stop(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  changed_.notify_one();
  handed_over_.wait_for(lock, longest, [this] { return ended_; });
  abandoned_ = true;
}

void LogWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    changed_.wait_for(lock, kGathering, [this] { return stopping_ || hurry_; });
    hurry_ = false;
    std::string lines;
    lines.swap(waiting_);
    std::size_t const taken = lines.size();
    std::uint64_t const telling = abandoned_ ? 0 : std::exchange(untold_, 0);
    if (telling > 0) lines += tell_lost_(telling);
    lock.unlock();
    std::size_t const written = hand_over(lines);
    lock.lock();
    if (written < lines.size()) {
      // The line that tells of lost ones is no loss of its own.
      std::size_t const kept = std::min(written, taken);
      std::uint64_t const refused = count_lines(std::string_view(lines).substr(kept, taken - kept));
      lost_ += refused;
      untold_ += refused + telling;
    }
    passed_ += taken;
    handed_over_.notify_all();
    if (abandoned_ || (stopping_ && waiting_.empty())) break;
  }
  ended_ = true;
  handed_over_.notify_all();
}

bool LogWriter::wait_for_room() const {
  while (true) {
    pollfd room{descriptor_, POLLOUT, 0};
    int const ready = ::poll(&room, 1, kLookMs);
    if (ready > 0) return true;  // an error shows when it is written to
    if (ready < 0 && errno != EINTR) return false;
    std::lock_guard const lock(mutex_);
    if (abandoned_) return false;
  }
}

std::size_t LogWriter::hand_over(std::string_view lines) {
  std::size_t done = 0;
  while (done < lines.size()) {
    if (!wait_for_room()) break;
    if (mid_line_ && done == 0) {
      // What was begun and never finished is a line of its own.
      if (::write(descriptor_, "\n", 1) != 1) break;
      mid_line_ = false;
      continue;
    }
    std::string_view const left = lines.substr(done);
    ssize_t const written = ::write(descriptor_, left.data(), whole_lines(left, piece_bytes_));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) {
      ::poll(nullptr, 0, kAgainMs);
      continue;
    }
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  if (done > 0) mid_line_ = lines[done - 1] != '\n';
  return done;
}

}  // namespace penstock::system
