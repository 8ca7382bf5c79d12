#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock::cli {

/// Counts of durations in buckets whose width grows with the value: 64 to each power of two, so
/// that a percentile is told with an error of at most 1.6 %. After HdrHistogram's layout
/// (http://hdrhistogram.org). 16 KiB, O(1) a value.
class LatencyHistogram {
 public:
  /// Values above an hour count as an hour, negative ones as zero.
  void add(std::int64_t microseconds);
  std::uint64_t count() const { return count_; }
  std::int64_t maximum_us() const { return maximum_us_; }

  /// The least bucket end that `percent` (0..100) of the values do not pass; 0 where there are
  /// none.
  std::int64_t percentile_us(double percent) const;

 private:
  static constexpr int kSubBits = 6;
  static constexpr std::int64_t kLongestUs = 3'600'000'000;
  static constexpr std::size_t kBuckets = 28U << kSubBits;

  static std::size_t bucket_of(std::int64_t microseconds);
  static std::int64_t end_of(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::int64_t maximum_us_ = 0;
};

}  // namespace penstock::cli
