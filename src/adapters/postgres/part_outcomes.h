#pragma once

#include <algorithm>
#include <cstddef>
#include <expected>
#include <utility>
#include <vector>

#include "ports/order_store.h"

namespace penstock::postgres_store {

/// What came of the parts of one batch, each a transaction of its own, and what that makes of the
/// batch. A `Failure` has an `error`, a ports::StoreError, and is `unavailable` only where nothing
/// was done of its part.
template <typename Answer, typename Failure>
class PartOutcomes {
 public:
  using Outcome = std::expected<Answer, Failure>;

  /// The next part's.
  void add(Outcome outcome) { outcomes_.push_back(std::move(outcome)); }

  /// Where one part was done, or may have been, the others are not left undone without another try:
  /// `again(part)` tells what came of it.
  template <typename Again>
  void finish_what_was_begun(Again again) {
    if (std::ranges::all_of(outcomes_, is_undone)) return;
    for (std::size_t part = 0; part < outcomes_.size(); ++part) {
      if (is_undone(outcomes_[part])) outcomes_[part] = again(part);
    }
  }

  /// Parts that were done for certain.
  std::size_t done() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        outcomes_, [](const Outcome& outcome) { return outcome.has_value(); }));
  }

  /// One answer a part. `unavailable`: nothing was done of any part. `unknown_outcome`: each part
  /// was done, or was not, or may still be.
  std::expected<std::vector<Answer>, Failure> together() && {
    const bool is_part_done = done() > 0;
    std::vector<Answer> answers;
    Failure* failure = nullptr;
    for (Outcome& outcome : outcomes_) {
      if (outcome) {
        answers.push_back(*std::move(outcome));
      } else if (failure == nullptr || weight(outcome.error()) > weight(*failure)) {
        failure = &outcome.error();
      }
    }
    if (failure == nullptr) return answers;
    if (is_part_done && failure->error == ports::StoreError::unavailable) {
      failure->error = ports::StoreError::unknown_outcome;
    }
    return std::unexpected(std::move(*failure));
  }

 private:
  static bool is_undone(const Outcome& outcome) {
    return !outcome && outcome.error().error == ports::StoreError::unavailable;
  }

  /// What stops the store weighs most, then what may have been done.
  static int weight(const Failure& failure) {
    if (failure.error == ports::StoreError::unavailable) return 0;
    return failure.error == ports::StoreError::unknown_outcome ? 1 : 2;
  }

  std::vector<Outcome> outcomes_;
};

}  // namespace penstock::postgres_store
