#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace penstock::postgres_store {

/// The end of a process's waits for its database, whatever deadline each of them has: set when the
/// process ends, so that it ends on time beside a database that does not answer. Thread-safe.
class LastCall {
 public:
  using Clock = std::chrono::steady_clock;

  /// From now on nothing is waited for beyond `at`; an earlier end that was set before stays.
  void end_by(Clock::time_point at) {
    Clock::rep seen = at_.load();
    while (at.time_since_epoch().count() < seen &&
           !at_.compare_exchange_weak(seen, at.time_since_epoch().count())) {
    }
  }
  Clock::time_point at() const { return Clock::time_point(Clock::duration(at_.load())); }
  bool is_over() const { return Clock::now() >= at(); }

 private:
  std::atomic<Clock::rep> at_{Clock::time_point::max().time_since_epoch().count()};
};

/// When one call ends at the latest.
class Deadline {
 public:
  using Clock = LastCall::Clock;

  Deadline() = default;
  /// `last_call` may be null; it outlives the deadline.
  Deadline(Clock::time_point at, const LastCall* last_call) : at_(at), last_call_(last_call) {}

  bool is_over() const { return Clock::now() >= end(); }
  /// How long a wait may sleep at once: it looks at the last call in between. In milliseconds,
  /// rounded up, at most kLook.
  int slice_ms() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end() - Clock::now());
    return static_cast<int>(std::clamp(left, std::chrono::milliseconds::zero(), kLook).count());
  }

 private:
  static constexpr std::chrono::milliseconds kLook{50};

  Clock::time_point end() const { return last_call_ ? std::min(at_, last_call_->at()) : at_; }

  Clock::time_point at_ = Clock::time_point::max();
  const LastCall* last_call_ = nullptr;
};

}  // namespace penstock::postgres_store
