#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "simulation/runner.h"
#include "simulation/world_distributed.h"
#include "simulation/world_single.h"

/// `mutants_simulator WORLD FIRST COUNT`: what `penstock simulate` does, in a program that links
/// the simulation alone, since it is linked anew for every mutant.
int main(int count, char** arguments) {
  if (count != 4) return static_cast<int>(penstock::simulation::RunnerExit::wrong_use);
  penstock::simulation::RunnerOptions options;
  if (std::string_view(arguments[1]) == "distributed") {
    options.world = penstock::simulation::World::distributed;
    options.run = penstock::simulation::run_distributed_world;
  } else {
    options.run = penstock::simulation::run_single_world;
  }
  options.first_seed = std::strtoull(arguments[2], nullptr, 10);
  options.seeds = std::strtoull(arguments[3], nullptr, 10);
  return static_cast<int>(penstock::simulation::run_seeds(options, std::cout));
}
