#pragma once

#include <functional>
#include <memory>

#include "checker/history.h"
#include "simulation/run.h"
#include "simulation/servers.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

using MakeServers = std::function<std::unique_ptr<Servers>(Surroundings&, Peers&)>;

/// Runs a world to its end: clients and misfortunes until the clients are content, then the same
/// without faults until everything has come to rest. Judges safety after every step and liveness at
/// rest. A function of its arguments alone.
RunResult run_world(const RunOptions& options, const checker::HistoryOptions& history,
                    const MakeServers& make_servers);

/// What the judge is told of a scenario.
checker::HistoryOptions history_options_of(const Scenario& scenario);

}  // namespace penstock::simulation
