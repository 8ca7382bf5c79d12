#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "domain/check.h"
#include "domain/instant.h"
#include "domain/monotone_wall.h"

namespace penstock::simulation {

/// When every simulated world begins: 2027-01-15T08:00:00Z.
inline constexpr domain::Instant kWorldStart{1'800'000'000'000'000};

/// Virtual time: what is to happen, in a deterministic order (time, then order of scheduling). Its
/// time is true time; what a process believes is its ProcessClock's. One thread. Bounded by what is
/// scheduled on it; whoever schedules bounds that.
class Timeline {
 public:
  using Action = std::move_only_function<void()>;
  struct Ticket {
    std::uint64_t number = 0;
  };

  domain::Instant now() const { return now_; }
  domain::Duration elapsed() const { return now_ - kWorldStart; }

  /// Schedules `action`; a time that has passed means now, behind what is due already.
  Ticket at(domain::Instant time, Action action) {
    const std::uint64_t number = next_number_++;
    heap_.push_back({std::max(time, now_), number, std::move(action)});
    std::ranges::push_heap(heap_, later);
    return {number};
  }
  Ticket after(domain::Duration span, Action action) { return at(now_ + span, std::move(action)); }

  /// Takes back what has not run; no effect on what has not been scheduled. O(1); a ticket that
  /// already ran must not be cancelled.
  void cancel(Ticket ticket) { cancelled_.insert(ticket.number); }

  /// When the next action runs.
  std::optional<domain::Instant> next_due() {
    drop_cancelled();
    if (heap_.empty()) return std::nullopt;
    return heap_.front().time;
  }

  /// Moves time to the next action and runs it; false if there is none.
  bool run_next() {
    drop_cancelled();
    if (heap_.empty()) return false;
    Entry entry = pop();
    now_ = entry.time;
    steps_ += 1;
    entry.action();
    return true;
  }

  /// Actions that ran: the number of the present step.
  std::uint64_t steps() const { return steps_; }

 private:
  struct Entry {
    domain::Instant time;
    std::uint64_t number = 0;
    Action action;
  };

  static bool later(const Entry& left, const Entry& right) {
    return std::pair(left.time, left.number) > std::pair(right.time, right.number);
  }
  Entry pop() {
    std::ranges::pop_heap(heap_, later);
    Entry entry = std::move(heap_.back());
    heap_.pop_back();
    return entry;
  }
  void drop_cancelled() {
    while (!cancelled_.empty() && !heap_.empty() && cancelled_.erase(heap_.front().number) > 0) {
      pop();
    }
  }

  domain::Instant now_ = kWorldStart;
  std::uint64_t next_number_ = 1;
  std::uint64_t steps_ = 0;
  std::vector<Entry> heap_;
  std::unordered_set<std::uint64_t> cancelled_;
};

/// What one machine believes the time to be. Its wall clock may be off and may jump; within one
/// process it never goes back, as ports::Clock promises. Its monotonic clock runs on over jumps
/// and restarts of the process, and starts again with the machine.
class ProcessClock {
 public:
  explicit ProcessClock(const Timeline& timeline) : timeline_(&timeline) {}

  domain::Now now() {
    const domain::MonotonicTime monotonic{(timeline_->now() - booted_).us * 1'000 +
                                          kUptimeAtBootNs};
    return {wall_.read(timeline_->now() + offset_, monotonic), monotonic};
  }

  /// The wall clock is set: forward, or backward (it then goes on at half its speed).
  void jump(domain::Duration by) { offset_ = {offset_.us + by.us}; }
  domain::Duration offset() const { return offset_; }

  /// The true time at which this clock shows `wall`; at least now.
  domain::Instant true_time_of(domain::Instant wall) const {
    const domain::Duration left = wall - wall_.shown();
    return std::max(std::min(wall - offset_, timeline_->now() + left + left), timeline_->now());
  }

  /// A new process on the machine: the wall clock may show an earlier time than the last one saw.
  void process_started() { wall_ = {}; }

  /// The machine starts again: the monotonic clock with it, under another boot id.
  void machine_started() {
    booted_ = timeline_->now();
    boots_ += 1;
    process_started();
  }
  std::uint64_t boots() const { return boots_; }

 private:
  static constexpr std::int64_t kUptimeAtBootNs = 1'000'000'000;

  const Timeline* timeline_;
  domain::Duration offset_;
  domain::MonotoneWall wall_;
  domain::Instant booted_ = kWorldStart;
  std::uint64_t boots_ = 1;
};

}  // namespace penstock::simulation
