#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::postgres_store {

/// Whether commits work, as the writing connection last met it. Thread-safe to read; told by one
/// thread.
class Reachability {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Change { away, still_away, back };
  /// Called when commits work no more, every kTellAgain while that stays so, and once they work
  /// again; with why they do not, in the server's or libpq's words.
  using Changed = std::function<void(Change, std::string_view)>;

  static constexpr std::chrono::seconds kTellAgain{60};

  /// A call that lasts longer than `patience` counts as commits that do not work, before anything
  /// is known of it.
  explicit Reachability(Changed changed = {}, Clock::duration patience = std::chrono::seconds(5))
      : changed_(std::move(changed)), patience_(patience) {}

  bool is_away() const {
    if (is_away_.load()) return true;
    const Clock::rep since = asked_at_.load();
    return since != 0 && Clock::now() - Clock::time_point(Clock::duration(since)) > patience_;
  }

  /// While one lives, a call is on its way.
  class Asking {
   public:
    explicit Asking(Reachability* told) : told_(told) {
      if (told_ != nullptr) told_->asked_at_ = Clock::now().time_since_epoch().count();
    }
    ~Asking() {
      if (told_ != nullptr) told_->asked_at_ = 0;
    }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;

   private:
    Reachability* told_;
  };

  void met() {
    if (is_away_.exchange(false) && changed_) changed_(Change::back, {});
  }
  void missed(std::string_view why) {
    const bool was_away = is_away_.exchange(true);
    if (was_away && Clock::now() < told_at_ + kTellAgain) return;
    told_at_ = Clock::now();
    if (changed_) changed_(was_away ? Change::still_away : Change::away, why);
  }

 private:
  std::atomic<bool> is_away_{false};
  std::atomic<Clock::rep> asked_at_{0};
  Clock::time_point told_at_;
  Changed changed_;
  Clock::duration patience_;
};

}  // namespace penstock::postgres_store
