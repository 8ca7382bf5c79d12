#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/probe.h"
#include "simulation/run.h"

namespace penstock::simulation {

/// What many runs came to. Merging is commutative, so that the order of seeds and the number of
/// processes change nothing.
struct Totals {
  /// Failing seeds that are named; further ones are only counted.
  static constexpr std::size_t kMaxNamed = 1'000;

  std::uint64_t seeds = 0;
  std::uint64_t orders = 0;
  std::uint64_t operations = 0;
  std::uint64_t commits = 0;
  std::uint64_t crashes = 0;
  std::uint64_t steps = 0;
  std::uint64_t virtual_seconds = 0;
  std::uint64_t digest = 0;  ///< of the runs' digests
  std::uint64_t unsafe = 0;
  std::uint64_t not_live = 0;
  std::uint64_t broken = 0;  ///< runs that ended the simulator itself
  std::vector<std::uint64_t> failing_seeds;
  ProbeCounts probes;

  void add(const RunResult& result);
  void add_broken(std::uint64_t seed);
  void merge(const Totals& other);
  bool clean() const { return unsafe + not_live + broken == 0; }

  bool operator==(const Totals&) const = default;
};

/// One "name value" a line; reads back as the same.
std::string to_text(const Totals& totals);
/// The error names the line that cannot be read.
std::expected<Totals, std::string> parse_totals(std::string_view text);

}  // namespace penstock::simulation
