#pragma once

#include <functional>

#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace penstock::main {

/// What the command line asked for; set by the subcommand that was named.
using Action = std::function<cli::ExitCode()>;

/// Each adds one subcommand with its flags to `app`; naming it sets `action`, which outlives both.
void add_serve(CLI::App& app, Action& action);
void add_worker(CLI::App& app, Action& action);
void add_migrate(CLI::App& app, Action& action);
void add_gateway(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_copy(CLI::App& app, Action& action);
void add_simulate(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
/// Under `bench`.
void add_bench_partitions(CLI::App& bench, Action& action);
void add_demo(CLI::App& app, Action& action);
void add_orders(CLI::App& app, Action& action);
void add_dead_letters(CLI::App& app, Action& action);
void add_tenants(CLI::App& app, Action& action);
void add_inventory(CLI::App& app, Action& action);
void add_queues(CLI::App& app, Action& action);
void add_explain(CLI::App& app, Action& action);

}  // namespace penstock::main
