#include <iostream>
#include <memory>
#include <string>
#include <variant>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "adapters/postgres/migrations.h"
#include "adapters/postgres/postgres_store_options.h"
#include "main/command.h"
#include "main/serve_options.h"

namespace penstock::main {
namespace {

cli::ExitCode run_migrate(const std::string& url) {
  auto const store = parse_store(url, "");
  if (!store || !std::holds_alternative<SharedDatabase>(*store)) {
    std::cerr << "penstock migrate: "
              << (store ? "--store needs postgres://...; other stores have no schema"
                        : store.error())
              << '\n';
    return cli::ExitCode::wrong_use;
  }
  auto const schema = postgres_store::PostgresStoreOptions{}.schema;
  auto const report =
      postgres_store::migrate({.url = url, .schema = schema, .name = "penstock migrate"});
  if (!report) {
    std::cerr << "penstock migrate: " << report.error().text() << '\n';
    return cli::ExitCode::failed;
  }
  if (report->from == report->to) {
    std::cout << fmt::format("schema {}: version {}, nothing to migrate\n", schema, report->to);
  } else {
    std::cout << fmt::format("schema {}: version {} -> {}\n", schema, report->from, report->to);
  }
  if (report->partitions_made > 0) {
    std::cout << fmt::format("{} partitions made ahead\n", report->partitions_made);
  }
  return cli::ExitCode::done;
}

}  // namespace

void add_migrate(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "migrate", "bring the schema of a PostgreSQL database to this program's version");
  auto const url = std::make_shared<std::string>();
  command
      ->add_option("--store", *url, "postgres://...; the role has to own the schema or may make it")
      ->envname("PENSTOCK_STORE")
      ->required()
      ->type_name("URL");
  command->callback([&action, url] { action = [url] { return run_migrate(*url); }; });
}

}  // namespace penstock::main
