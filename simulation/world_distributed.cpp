#include "simulation/world_distributed.h"

#include <memory>

#include "simulation/node_cluster.h"
#include "simulation/world_run.h"

namespace penstock::simulation {

RunResult run_distributed_world(const RunOptions& options) {
  return run_distributed_world(options, {});
}

RunResult run_distributed_world(const RunOptions& options, DistributedOptions extra) {
  return run_world(options, history_options_of(options.scenario),
                   [&](Surroundings& around, Peers& peers) {
                     return std::make_unique<NodeCluster>(around, peers, extra.flaw);
                   });
}

}  // namespace penstock::simulation
