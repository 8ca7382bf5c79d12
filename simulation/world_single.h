#pragma once

#include "simulation/run.h"

namespace penstock::simulation {

/// Runs one world to its end: one process after the other on one machine, with an embedded store,
/// the simulated peers, and clients; then the same without faults until everything has come to
/// rest. Judges safety after every step and liveness at rest. A function of its options alone.
RunResult run_single_world(const RunOptions& options);

}  // namespace penstock::simulation
