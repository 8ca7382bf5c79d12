#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "simulation/run.h"

namespace penstock::simulation {

/// How one run of a world is made.
using RunWorld = RunResult (*)(const RunOptions&);

struct RunnerOptions {
  World world = World::single;
  RunWorld run = nullptr;
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 1;
  int processes = 1;
  std::uint64_t shard = 0;  ///< of `shards`: only seeds with (seed - first) % shards == shard
  std::uint64_t shards = 1;
  std::string resume = {};    ///< a file that keeps how far the run came; may not exist yet
  std::string scenario = {};  ///< a file; empty: every seed draws its own
  std::optional<std::int64_t> orders = {};  ///< instead of the scenario's
  bool trace = false;                       ///< every line of the trace to stdout
  bool require_probes = false;
};

/// What `penstock simulate` ends with. Apart from the codes that every command has.
enum class RunnerExit : std::uint8_t {
  clean = 0,
  wrong_use = 2,
  broken = 20,         ///< a run ended the simulator: a failed CHECK, an exception, a signal
  unsafe = 21,         ///< an invariant does not hold
  not_live = 22,       ///< something never came to rest, or was never delivered
  probe_missing = 23,  ///< clean, but a required probe never fired
};

inline constexpr int kMaxProcesses = 64;

/// Runs seeds in child processes, so that a run that ends its process is a finding with its seed.
/// Reports every failing seed to `out` with all that makes the run again, then a summary. The worst
/// finding decides the exit, in the order broken, unsafe, not_live.
RunnerExit run_seeds(const RunnerOptions& options, std::ostream& out);

/// The report of a run that found something.
std::string report_of(const RunnerOptions& options, const Scenario& scenario,
                      const RunResult& result);

}  // namespace penstock::simulation
