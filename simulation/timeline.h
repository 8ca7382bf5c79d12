#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "domain/check.h"
#include "domain/instant.h"
#include "domain/monotone_wall.h"
#include "simulation/action_room.h"

namespace penstock::simulation {

/// When every simulated world begins: 2027-01-15T08:00:00Z.
inline constexpr domain::Instant kWorldStart{1'800'000'000'000'000};

/// Virtual time: what is to happen, in a deterministic order (time, then order of scheduling). Its
/// time is true time; what a process believes is its ProcessClock's. One thread. Bounded by what is
/// scheduled on it; whoever schedules bounds that. What has not run when it ends is dropped.
class Timeline {
 public:
  struct Ticket {
    std::uint64_t number = 0;
  };

  Timeline() = default;
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;
  ~Timeline() {
    // What is dropped may schedule something, which is dropped in its turn.
    while (!heap_.empty()) actions_.drop(pop().place);
  }

  domain::Instant now() const { return now_; }
  domain::Duration elapsed() const { return now_ - kWorldStart; }

  /// Schedules `action`, a callable without arguments; a time that has passed means now, behind
  /// what is due already.
  template <typename Action>
  Ticket at(domain::Instant time, Action&& action) {
    const std::uint64_t number = next_number_++;
    const ActionRoom::Place place = actions_.take_in(std::forward<Action>(action));
    heap_.push_back({std::max(time, now_), number, place});
    std::ranges::push_heap(heap_, kLater);
    return {number};
  }
  template <typename Action>
  Ticket after(domain::Duration span, Action&& action) {
    return at(now_ + span, std::forward<Action>(action));
  }

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
    const Entry entry = pop();
    now_ = entry.time;
    steps_ += 1;
    actions_.run(entry.place);
    return true;
  }

  /// Actions that ran: the number of the present step.
  std::uint64_t steps() const { return steps_; }

 private:
  /// The actions stay where they are: the heap moves these.
  struct Entry {
    domain::Instant time;
    std::uint64_t number = 0;
    ActionRoom::Place place = 0;
  };

  static constexpr auto kLater = [](const Entry& left, const Entry& right) {
    return left.time == right.time ? left.number > right.number : left.time > right.time;
  };
  Entry pop() {
    const Entry first = heap_.front();
    std::ranges::pop_heap(heap_, kLater);
    heap_.pop_back();
    return first;
  }
  void drop_cancelled() {
    while (!cancelled_.empty() && !heap_.empty() && cancelled_.erase(heap_.front().number) > 0) {
      actions_.drop(pop().place);
    }
  }

  domain::Instant now_ = kWorldStart;
  std::uint64_t next_number_ = 1;
  std::uint64_t steps_ = 0;
  ActionRoom actions_;
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
    const domain::MonotonicTime monotonic = uptime();
    return {wall_.read(timeline_->now() + offset_, monotonic), monotonic};
  }
  domain::MonotonicTime uptime() const {
    return {(timeline_->now() - (booted_ - uptime_at_start_)).us * 1'000};
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
  /// What the process finds stored: its clock goes on from there.
  void not_before(domain::Instant stored) { wall_.not_before(stored); }

  /// The machine starts again: the monotonic clock with it, under another boot id. Every other time
  /// the process comes hours after its machine: what it reads may lie behind or ahead of the last
  /// monotonic time under the boot before, and neither may count as time that passed.
  void machine_started() {
    booted_ = timeline_->now();
    boots_ += 1;
    const auto hours = static_cast<std::int64_t>(boots_);
    uptime_at_start_ = boots_ % 2 == 0 ? domain::Duration::hours(hours) : kLeastUptime;
    process_started();
  }
  std::uint64_t boots() const { return boots_; }

 private:
  static constexpr domain::Duration kLeastUptime = domain::Duration::seconds(1);

  const Timeline* timeline_;
  domain::Duration offset_;
  domain::MonotoneWall wall_;
  domain::Instant booted_ = kWorldStart;
  domain::Duration uptime_at_start_ = kLeastUptime;
  std::uint64_t boots_ = 1;
};

}  // namespace penstock::simulation
