#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "adapters/postgres/connection.h"
#include "adapters/system/process_usage.h"
#include "adapters/system/system_random.h"
#include "cli/bench.h"
#include "cli/child_process.h"
#include "cli/demo.h"
#include "cli/supervised.h"
#include "main/command.h"
#include "main/serve_options.h"
#include "main/store_audit.h"

namespace penstock::main {
namespace {

/// Each has stock of its own, set before the load.
constexpr std::uint64_t kMaxBenchProducts = 1'000'000;

struct BenchFlags {
  cli::BenchOptions bench;
  bool silent = false;
};

std::optional<cli::ProcessReading> read_process(pid_t process) {
  auto const usage = system::read_process_usage(process);
  if (!usage) return std::nullopt;
  return cli::ProcessReading{.cpu_us = usage->cpu_us,
                             .peak_resident_bytes = usage->peak_resident_bytes,
                             .written_bytes = usage->written_bytes};
}

/// Bytes that the database's server has written to its log, if it is reached.
std::optional<std::uint64_t> written_ahead(const std::string& url) {
  auto const connection = postgres_store::Connection::open(
      {.url = url, .schema = "public", .name = "penstock bench"}, {});
  if (!connection) return std::nullopt;
  auto const bytes =
      (*connection)->query("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint");
  if (!bytes) return std::nullopt;
  return static_cast<std::uint64_t>(bytes->integer(0, 0));
}

cli::ExitCode run_bench(BenchFlags flags) {
  cli::BenchOptions& bench = flags.bench;
  if (bench.load.orders == 0 && bench.load.duration_seconds <= 0) {
    std::cerr << "penstock bench: needs --duration or --orders\n";
    return cli::ExitCode::wrong_use;
  }
  if (std::uint64_t{bench.load.tenants} * bench.load.products > kMaxBenchProducts) {
    std::cerr << "penstock bench: --tenants times --products is more than " << kMaxBenchProducts
              << '\n';
    return cli::ExitCode::wrong_use;
  }
  // Nothing is made for a store that the server would refuse.
  if (auto const store = parse_store(bench.store, ""); !store) {
    std::cerr << "penstock bench: " << store.error() << '\n';
    return cli::ExitCode::wrong_use;
  }
  system::SystemRandom random;
  bench.load.run = "b" + std::to_string(random.next() % 1'000'000'000);
  if (is_database_url(bench.store)) {
    bench.read_wal = [url = bench.store] { return written_ahead(url); };
  }
  if (flags.silent) bench.progress = cli::Progress::silent;
  return cli::run_supervised(
      [&bench] { return cli::bench(bench, read_process, std::cout, std::cerr); });
}

void add_load_flags(CLI::App& command, cli::LoadOptions& load) {
  command
      .add_option("--rate", load.rate,
                  "orders a second, sent on time whatever the answers "
                  "(open loop); 0: as fast as they come (closed loop)")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command.add_option("--connections", load.connections, "keep-alive connections")
      ->check(CLI::Range(1, 9'000))
      ->capture_default_str();
  command.add_option("--duration", load.duration_seconds, "seconds of load; 0: until --orders")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command.add_option("--orders", load.orders, "at most so many orders; 0: no bound")
      ->capture_default_str();
  command.add_option("--tenants", load.tenants, "orders go round over so many tenants")
      ->check(CLI::Range(1, 90'000))
      ->capture_default_str();
  command
      .add_option("--products", load.products,
                  "products of each tenant, of which an order draws one")
      ->check(CLI::Range(1, 900'000))
      ->capture_default_str();
  command.add_option("--declined", load.declined_share, "share of orders with a declined card")
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--samples", load.sampled_share, "share of orders followed to their end")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      .add_option("--settle-seconds", load.settle_seconds, "at most, for the backlog at the end")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
}

bool is_terminal(std::FILE* stream) {
  return ::isatty(::fileno(stream)) == 1;
}

}  // namespace

void add_demo(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "demo", "a visible run: orders, a declined card, a flooded tenant, a crash and its recovery");
  auto const fast = std::make_shared<bool>(false);
  command->add_flag("--fast", *fast, "no pauses for reading");
  command->callback([&action, fast] {
    action = [fast] {
      return cli::run_supervised([fast] {
        return cli::demo(
            {.program = cli::own_program(),
             .pace = *fast ? cli::Pace::fast : cli::Pace::watched,
             .colour = is_terminal(stdout) ? cli::Colour::on : cli::Colour::off},
            [](const std::string& data, const std::string& ledger) {
              return audit_store({.data_directory = data, .ledger_path = ledger});
            },
            std::cout, std::cerr);
      });
    };
  });
}

void add_bench(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "bench", "load a server, its own or a running one, and print the figures as JSON");
  auto const flags = std::make_shared<BenchFlags>();
  cli::BenchOptions& bench = flags->bench;
  command->add_option("--server", bench.server, "a running server (default: one for the run)")
      ->type_name("URL");
  command->add_option("--key", bench.load.admin_key, "its admin key")
      ->envname("PENSTOCK_ADMIN_KEY");
  command
      ->add_option("--gateway", bench.gateway,
                   "of the own server: sandbox, a URL, or process (a penstock gateway)")
      ->capture_default_str();
  command
      ->add_option("--store", bench.store,
                   "of the own server: postgres://... with its schema, rocksdb:DIR or memory: "
                   "(default: RocksDB in its data directory)")
      ->type_name("URL");
  command->add_option("--data", bench.data, "of the own server (default: a temporary directory)")
      ->type_name("DIR");
  command->add_option("--http-threads", bench.http_threads, "of the own server")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  add_load_flags(*command, bench.load);
  // Orders go one a request; the flag is there so that scripts can say so.
  auto const batch = std::make_shared<int>(1);
  command->add_option("--batch", *batch, "orders a request")->check(CLI::Range(1, 1));
  command->add_flag("--silent", flags->silent, "no line a second");
  add_bench_partitions(*command, action);
  command->callback([&action, flags, batch, command] {
    // It is called behind its subcommand too, whose action stays.
    if (command->get_subcommands().empty()) action = [flags] { return run_bench(*flags); };
  });
}

}  // namespace penstock::main
