#include <iostream>
#include <string>

#include <CLI/CLI.hpp>
#include <sys/stat.h>

#include "main/command.h"
#include "main/version.h"

int main(int argc, char** argv) {
  using namespace penstock;
  // What this program writes, the store and the ledger above all, is its owner's alone.
  ::umask(S_IRWXG | S_IRWXO);
  CLI::App app("Penstock: an order pipeline that loses nothing and charges once");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(main::kVersion));
  main::Action action;
  main::add_serve(app, action);
  main::add_worker(app, action);
  main::add_migrate(app, action);
  main::add_gateway(app, action);
  main::add_check(app, action);
  main::add_copy(app, action);
  main::add_simulate(app, action);
  main::add_bench(app, action);
  main::add_demo(app, action);
  main::add_orders(app, action);
  main::add_dead_letters(app, action);
  main::add_tenants(app, action);
  main::add_inventory(app, action);
  main::add_queues(app, action);
  main::add_explain(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    bool const asked = app.exit(error) == 0;
    return static_cast<int>(asked ? cli::ExitCode::done : cli::ExitCode::wrong_use);
  }
  return static_cast<int>(action());
}
