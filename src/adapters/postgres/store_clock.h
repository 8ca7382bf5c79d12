#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>

#include "domain/instant.h"

namespace penstock::postgres_store {

/// The database's wall clock, by which everything that is due on it is judged, as its answers told
/// it: this process's monotonic clock and a difference, which an answer moves only as far as it
/// proves it wrong, so that the way of an answer is no unrest of the clock. What this process's own
/// wall clock says counts for nothing. Read by any thread, told by one.
class StoreClock {
 public:
  /// The server read `at` between two readings of this process's monotonic clock.
  void learn(domain::Instant at, domain::MonotonicTime before, domain::MonotonicTime after) {
    const std::int64_t least = at.us - after.ns / 1'000;
    const std::int64_t most = at.us - before.ns / 1'000;
    const std::int64_t known = difference_us_.load();
    difference_us_ = known == kUnknown ? least : std::clamp(known, least, most);
  }

  /// The database's time then; nothing until an answer told it.
  std::optional<domain::Instant> at(domain::MonotonicTime now) const {
    const std::int64_t difference = difference_us_.load();
    if (difference == kUnknown) return std::nullopt;
    return domain::Instant{now.ns / 1'000 + difference};
  }

 private:
  static constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::min();
  std::atomic<std::int64_t> difference_us_{kUnknown};
};

}  // namespace penstock::postgres_store
