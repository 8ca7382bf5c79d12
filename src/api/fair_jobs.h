#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::api {

/// Whose a job is. `owner` takes turns with other owners; `address` is the peer's, which may speak
/// for many owners. An owner's jobs of different lines take turns in its turns: so that its lists
/// hold up its small reads by one at most.
struct JobShare {
  std::string owner;
  std::string address;
  std::uint32_t line = 0;
};

/// How many jobs may wait and run. All at least 1.
struct FairJobsBounds {
  std::size_t waiting = 2'048;
  std::size_t waiting_of_owner = 128;
  std::size_t waiting_of_address = 1'024;
  std::size_t running_of_owner = 1;
};

/// Jobs that wait for a thread. Owners take turns, one job a turn, whatever they have queued, and
/// so do the lines of an owner. An owner that has `running_of_owner` jobs running waits, so that
/// slow jobs of one leave threads for the others. Not thread-safe. Memory: the jobs, and what is
/// kept of the owners and addresses that have one.
template <typename Job>
class FairJobs {
 public:
  explicit FairJobs(FairJobsBounds bounds) : bounds_(bounds) {}

  /// Queues a job; false, and the job untouched, where it would pass a bound.
  bool push(const JobShare& share, Job&& job) {
    if (waiting_ >= bounds_.waiting || waiting_of_owner(share.owner) >= bounds_.waiting_of_owner ||
        waiting_of_address(share.address) >= bounds_.waiting_of_address) {
      return false;
    }
    push_promised(share, std::move(job));
    return true;
  }

  /// Queues a job that somebody else has counted and bounded.
  void push_promised(const JobShare& share, Job&& job) {
    const auto [owner, is_new] = owners_.try_emplace(share.owner);
    const auto [address, is_first] = addresses_.try_emplace(share.address, 0);
    ++address->second;
    ++waiting_;
    owner->second.lines[share.line].push_back({std::move(job), &*address});
    ++owner->second.waiting;
    line_up(*owner);
  }

  /// A job that begins to run. `owner` goes back to `finish`.
  struct Started {
    Job job;
    std::string owner;
  };

  /// The next job that may run now, if there is one.
  std::optional<Started> start() {
    if (round_.empty()) return std::nullopt;
    auto& entry = *round_.front();
    Owner& owner = entry.second;
    round_.pop_front();
    owner.in_round = false;
    Waiting taken = owner.take();
    --waiting_;
    if (--taken.address->second == 0) addresses_.erase(taken.address->first);
    ++owner.running;
    line_up(entry);
    return Started{.job = std::move(taken.job), .owner = entry.first};
  }

  /// A job of this owner has ended.
  void finish(const std::string& name) {
    const auto owner = owners_.find(name);
    --owner->second.running;
    if (owner->second.running == 0 && owner->second.waiting == 0) {
      owners_.erase(owner);
    } else {
      line_up(*owner);
    }
  }

  std::size_t waiting() const { return waiting_; }
  bool has_next() const { return !round_.empty(); }
  /// Owners that take memory.
  std::size_t owners_held() const { return owners_.size(); }

 private:
  struct Waiting {
    Job job;
    std::pair<const std::string, std::size_t>* address = nullptr;
  };
  struct Owner {
    std::map<std::uint32_t, std::deque<Waiting>> lines;  ///< none of them empty
    std::size_t waiting = 0;
    std::size_t running = 0;
    std::uint32_t last_line = 0;
    bool in_round = false;

    Waiting take() {
      auto line = lines.upper_bound(last_line);
      if (line == lines.end()) line = lines.begin();
      last_line = line->first;
      Waiting taken = std::move(line->second.front());
      line->second.pop_front();
      if (line->second.empty()) lines.erase(line);
      --waiting;
      return taken;
    }
  };
  using Owners = std::map<std::string, Owner, std::less<>>;
  using Addresses = std::map<std::string, std::size_t, std::less<>>;

  std::size_t waiting_of_owner(std::string_view name) const {
    const auto owner = owners_.find(name);
    return owner == owners_.end() ? 0 : owner->second.waiting;
  }
  std::size_t waiting_of_address(std::string_view name) const {
    const auto address = addresses_.find(name);
    return address == addresses_.end() ? 0 : address->second;
  }
  void line_up(typename Owners::value_type& entry) {
    Owner& owner = entry.second;
    if (owner.in_round || owner.waiting == 0 || owner.running >= bounds_.running_of_owner) return;
    owner.in_round = true;
    round_.push_back(&entry);
  }

  FairJobsBounds bounds_;
  Owners owners_;  ///< nodes stay where they are, so that the round can point to them
  Addresses addresses_;
  std::deque<typename Owners::value_type*> round_;
  std::size_t waiting_ = 0;
};

}  // namespace penstock::api
