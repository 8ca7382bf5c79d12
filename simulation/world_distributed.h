#pragma once

#include "simulation/run.h"
#include "simulation/shared_database.h"

namespace penstock::simulation {

/// What a test asks of a distributed world besides its scenario.
struct DistributedOptions {
  Flaw flaw = Flaw::none;
};

/// Runs one world to its end: several nodes with some of the stages each, over one shared database,
/// with wake-ups between them that get lost, doubled and late; then the same without faults until
/// everything has come to rest. Judges safety after every step and liveness at rest. A function of
/// its options alone.
RunResult run_distributed_world(const RunOptions& options);
RunResult run_distributed_world(const RunOptions& options, DistributedOptions extra);

}  // namespace penstock::simulation
