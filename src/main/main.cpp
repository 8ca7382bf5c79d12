#include <cerrno>
#include <exception>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/system/process_start.h"
#include "main/command.h"
#include "main/settings.h"
#include "main/version.h"
#include "main/wrong_use.h"

namespace penstock::main {
namespace {

void add_commands(CLI::App& app, Action& action) {
  add_serve(app, action);
  add_worker(app, action);
  add_migrate(app, action);
  add_gateway(app, action);
  add_check(app, action);
  add_copy(app, action);
  add_simulate(app, action);
  add_bench(app, action);
  add_demo(app, action);
  add_orders(app, action);
  add_dead_letters(app, action);
  add_tenants(app, action);
  add_inventory(app, action);
  add_queues(app, action);
  add_explain(app, action);
}

std::vector<std::string> variables() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view const text(*entry);
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
}

cli::ExitCode run(int argc, char** argv) {
  CLI::App app("Penstock: an order pipeline that loses nothing and charges once");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(kVersion));
  Action action;
  add_commands(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked, std::cout, std::cerr);
    return cli::ExitCode::done;
  } catch (const CLI::ParseError& error) {
    std::cerr << why_wrong_use(app, error) << '\n';
    return cli::ExitCode::wrong_use;
  }
  if (auto const why = why_unknown_variable(variables())) {
    std::cerr << "penstock: " << *why << '\n';
    return cli::ExitCode::wrong_use;
  }
  return action();
}

/// What a command printed counts only once it is written.
cli::ExitCode run_and_write(int argc, char** argv) {
  // Output that cannot be written ends the command at once, however much would follow.
  std::cout.exceptions(std::ios_base::badbit | std::ios_base::failbit);
  try {
    cli::ExitCode const code = run(argc, argv);
    std::cout.flush();
    return code;
  } catch (const std::exception& error) {
    int const number = errno;
    bool const is_unwritten = std::cout.bad();
    // What is still in the buffer has nowhere to go; a complaint flushes it first.
    std::cout.exceptions(std::ios_base::goodbit);
    if (is_unwritten) {
      std::cerr << "penstock: the output could not be written: "
                << std::generic_category().message(number) << '\n';
    } else {
      std::cerr << "penstock: " << system::sentence_of(error) << '\n';
    }
  }
  return cli::ExitCode::failed;
}

}  // namespace
}  // namespace penstock::main

int main(int argc, char** argv) {
  // What this program writes, the store and the ledger above all, is its owner's alone.
  ::umask(S_IRWXG | S_IRWXO);
  penstock::system::open_standard_descriptors();
  penstock::system::leave_no_core_dumps();
  penstock::system::ignore_broken_pipes();
  penstock::system::end_on_uncaught_exceptions();
  return static_cast<int>(penstock::main::run_and_write(argc, argv));
}
