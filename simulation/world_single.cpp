#include "simulation/world_single.h"

#include <memory>

#include "simulation/embedded_server.h"
#include "simulation/world_run.h"

namespace penstock::simulation {

RunResult run_single_world(const RunOptions& options) {
  return run_world(options, history_options_of(options.scenario),
                   [](Surroundings& around, Peers& peers) {
                     return std::make_unique<EmbeddedServer>(around, peers);
                   });
}

}  // namespace penstock::simulation
