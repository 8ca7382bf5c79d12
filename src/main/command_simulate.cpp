#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>

#include "main/command.h"
#include "simulation/runner.h"
#include "simulation/world_distributed.h"
#include "simulation/world_single.h"

namespace penstock::main {
namespace {

/// Reads "2/8" as the third of eight.
std::string read_shard(const std::string& text, simulation::RunnerOptions& options) {
  char slash = 0;
  std::istringstream stream(text);
  if (stream >> options.shard >> slash >> options.shards && slash == '/' && stream.eof()) return {};
  return "a shard is I/N, counted from 0";
}

int one_a_core() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1,
                    simulation::kMaxProcesses);
}

}  // namespace

void add_simulate(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "simulate",
      "run the real pipeline on virtual time with faults drawn from a seed, and judge "
      "every step; exits with 20 (a run broke), 21 (an invariant does not hold), 22 "
      "(something never comes to rest), 23 (a required probe never fired)");
  auto const options = std::make_shared<simulation::RunnerOptions>();
  std::map<std::string, simulation::World> const worlds{
      {"single", simulation::World::single}, {"distributed", simulation::World::distributed}};
  command->add_option("--world", options->world, "which world to run: single or distributed")
      ->transform([worlds](const std::string& name) {
        auto const named = worlds.find(name);
        if (named == worlds.end()) {
          throw CLI::ValidationError(name + ": needs single or distributed");
        }
        return std::to_string(static_cast<int>(named->second));
      });
  command->add_option("--seed", options->first_seed, "the first seed")->capture_default_str();
  command->add_option("--seeds", options->seeds, "how many, counted up from the first")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
      ->capture_default_str();
  CLI::Option* const processes =
      command
          ->add_option("--processes", options->processes,
                       "that share the seeds (default: one a core, or one with --trace)")
          ->check(CLI::Range(1, simulation::kMaxProcesses));
  command->add_option("--shard", "I/N: only every Nth seed, beginning with the Ith, counted from 0")
      ->each([options](const std::string& text) {
        if (const std::string mistake = read_shard(text, *options); !mistake.empty()) {
          throw CLI::ValidationError("--shard", mistake);
        }
      });
  command
      ->add_option("--resume", options->resume,
                   "keep in FILE how far the run came, and go on from there")
      ->type_name("FILE");
  command
      ->add_option("--scenario", options->scenario,
                   "what happens, as TOML (default: drawn from each seed)")
      ->type_name("FILE");
  command->add_option("--orders", options->orders, "orders a seed, instead of the scenario's")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}));
  command->add_flag("--trace", options->trace, "print every step");
  command->add_flag("--require-probes", options->require_probes,
                    "fail if a rare branch of this world was never reached");
  command->callback([&action, options, processes] {
    if (processes->empty()) options->processes = options->trace ? 1 : one_a_core();
    action = [options] {
      options->run = options->world == simulation::World::single
                         ? static_cast<simulation::RunWorld>(simulation::run_single_world)
                         : static_cast<simulation::RunWorld>(simulation::run_distributed_world);
      return static_cast<cli::ExitCode>(simulation::run_seeds(*options, std::cout));
    };
  });
}

}  // namespace penstock::main
