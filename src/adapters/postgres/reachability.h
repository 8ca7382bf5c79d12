#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::postgres_store {

/// Whether the database answers, as the writing connection last met it. Thread-safe to read; told
/// by one thread.
class Reachability {
 public:
  /// `changed` is called on each change: true once it answers again, else false and why.
  using Changed = std::function<void(bool, std::string_view)>;

  explicit Reachability(Changed changed = {}) : changed_(std::move(changed)) {}

  bool is_away() const { return is_away_.load(); }
  void met() {
    if (is_away_.exchange(false) && changed_) changed_(true, {});
  }
  void missed(std::string_view why) {
    if (!is_away_.exchange(true) && changed_) changed_(false, why);
  }

 private:
  std::atomic<bool> is_away_{false};
  Changed changed_;
};

}  // namespace penstock::postgres_store
