#pragma once

#include <cstdint>
#include <utility>

#include "domain/instant.h"

namespace penstock::pipeline {

/// Lets the first kLines of each ten seconds through and counts the rest. One thread.
class LineSampler {
 public:
  static constexpr std::uint32_t kLines = 10;
  static constexpr domain::Duration kWindow = domain::Duration::seconds(10);

  bool admits(domain::Instant now) {
    if (now - window_ >= kWindow || now < window_) {
      window_ = now;
      lines_ = 0;
    }
    if (lines_ == kLines) {
      left_out_ += 1;
      return false;
    }
    lines_ += 1;
    return true;
  }
  /// How many were not let through since this was last asked.
  std::uint64_t take_left_out() { return std::exchange(left_out_, 0); }
  /// The same, once their ten seconds are over; zero before.
  std::uint64_t take_left_out_after(domain::Instant now) {
    return left_out_ > 0 && (now - window_ >= kWindow || now < window_) ? take_left_out() : 0;
  }

 private:
  domain::Instant window_;
  std::uint32_t lines_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace penstock::pipeline
