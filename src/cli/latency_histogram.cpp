#include "cli/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace penstock::cli {

std::size_t LatencyHistogram::bucket_of(std::int64_t microseconds) {
  auto const value = static_cast<std::uint64_t>(microseconds);
  int const bits = static_cast<int>(std::bit_width(value));
  if (bits <= kSubBits) return static_cast<std::size_t>(value);
  int const shift = bits - kSubBits - 1;
  auto const group = static_cast<std::size_t>(shift + 1) << kSubBits;
  return group + static_cast<std::size_t>((value >> shift) - (std::uint64_t{1} << kSubBits));
}

std::int64_t LatencyHistogram::end_of(std::size_t bucket) {
  std::size_t const group = bucket >> kSubBits;
  auto const within = static_cast<std::int64_t>(bucket & ((std::size_t{1} << kSubBits) - 1));
  if (group == 0) return within;
  std::size_t const shift = group - 1;
  return (((std::int64_t{1} << kSubBits) + within + 1) << shift) - 1;
}

void LatencyHistogram::add(std::int64_t microseconds) {
  std::int64_t const value = std::clamp<std::int64_t>(microseconds, 0, kLongestUs);
  ++counts_.at(bucket_of(value));
  ++count_;
  maximum_us_ = std::max(maximum_us_, value);
}

std::int64_t LatencyHistogram::percentile_us(double percent) const {
  if (count_ == 0) return 0;
  auto const wanted = static_cast<std::uint64_t>(
      std::ceil(std::clamp(percent, 0.0, 100.0) / 100.0 * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += counts_.at(bucket);
    if (seen >= std::max<std::uint64_t>(wanted, 1)) return std::min(end_of(bucket), maximum_us_);
  }
  return maximum_us_;
}

}  // namespace penstock::cli
