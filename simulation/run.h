#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "domain/instant.h"
#include "simulation/probe.h"
#include "simulation/scenario.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// One run of one world.
struct RunOptions {
  std::uint64_t seed = 1;
  Scenario scenario = {};
  std::FILE* trace = nullptr;  ///< gets every line of the trace, where given
  PlantedDefect defect = PlantedDefect::none;
};

enum class Verdict : std::uint8_t { clean, safety, liveness };

/// What a run came to. Equal options give equal results.
struct RunResult {
  std::uint64_t seed = 0;
  Verdict verdict = Verdict::clean;
  std::string finding = {};  ///< invariant, subject and detail of what was found first
  std::uint64_t step = 0;    ///< of the timeline, at the finding or the end
  std::uint64_t digest = 0;
  std::uint64_t orders = 0;  ///< stored
  std::uint64_t operations = 0;
  std::uint64_t commits = 0;
  std::uint64_t crashes = 0;
  domain::Duration virtual_time = {};
  ProbeCounts probes = {};
  std::vector<std::string> last_lines = {};  ///< of the trace, where something was found
};

}  // namespace penstock::simulation
