#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

namespace penstock::webhook {

/// Replies on their way from an HTTP client's threads to the one that polls. `add` on any thread,
/// `take` on one.
template <typename Reply>
class CompletedReplies {
 public:
  /// `wake` is called on the adding thread when there is something to take again; may be empty.
  explicit CompletedReplies(std::function<void()> wake) : wake_(std::move(wake)) {}

  void add(Reply reply) {
    bool was_empty = false;
    {
      const std::scoped_lock lock(mutex_);
      was_empty = arrived_.empty();
      arrived_.push_back(std::move(reply));
    }
    if (was_empty && wake_) wake_();
  }

  /// Appends all that were added; how many.
  std::size_t take(std::vector<Reply>& replies) {
    taken_.clear();
    {
      const std::scoped_lock lock(mutex_);
      taken_.swap(arrived_);
    }
    std::move(taken_.begin(), taken_.end(), std::back_inserter(replies));
    return taken_.size();
  }

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<Reply> arrived_;
  std::vector<Reply> taken_;
};

}  // namespace penstock::webhook
