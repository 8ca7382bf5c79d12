#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "domain/instant.h"

namespace penstock::pipeline {

/// Holds a stage back while its peer cannot be reached. After a pause a few orders probe it; the
/// first answer opens the stage again. Counts for no order.
class StagePause {
 public:
  void peer_was_away(domain::Instant now) {
    if (now < until_) return;
    // 100 ms, 200 ms, ... 5 s.
    const std::int64_t factor = std::int64_t{1} << std::min<std::uint32_t>(pauses_, 6);
    pauses_ += 1;
    until_ = now + std::min(domain::Duration{factor * 100'000}, domain::Duration::seconds(5));
  }
  void peer_answered() {
    pauses_ = 0;
    until_ = {};
  }
  bool paused(domain::Instant now) const { return now < until_; }
  /// While the peer has not answered since the pause, at most this many may be in flight.
  std::size_t limit(std::size_t usual) const {
    return pauses_ == 0 ? usual : std::min(usual, kProbes);
  }
  /// Zero while the stage is open.
  domain::Instant until() const { return until_; }

 private:
  static constexpr std::size_t kProbes = 16;

  domain::Instant until_;
  std::uint32_t pauses_ = 0;
};

}  // namespace penstock::pipeline
