#include <cstdint>
#include <expected>
#include <iostream>
#include <memory>
#include <string>
#include <variant>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "adapters/system/json_log.h"
#include "adapters/system/process_start.h"
#include "adapters/system/stop_signals.h"
#include "adapters/system/system_clock.h"
#include "cli/check.h"
#include "cli/explain.h"
#include "main/command.h"
#include "main/gateway_process.h"
#include "main/serve_options.h"
#include "main/store_audit.h"

namespace penstock::main {
namespace {

struct GatewayFlags {
  std::string listen = "127.0.0.1:9100";
  std::string ledger = "gateway-ledger.jsonl";
  gateway::SandboxFaults faults;
  double latency_ms = 0;
};

cli::ExitCode start_gateway(const GatewayFlags& flags) {
  auto const listen = parse_listen_address(flags.listen);
  if (!listen) {
    std::cerr << "penstock gateway: --listen " << flags.listen << ": needs ADDR:PORT\n";
    return cli::ExitCode::wrong_use;
  }
  if (!is_loopback(*listen)) {
    std::cerr << "penstock gateway: --listen " << flags.listen
              << ": it asks nobody for a key, so it listens on loopback only\n";
    return cli::ExitCode::wrong_use;
  }
  system::StopSignals signals;
  system::SystemClock clock;
  system::JsonLog log(clock, ports::LogLevel::info, STDERR_FILENO);
  GatewayProcessOptions options{
      .listen = *listen, .ledger_path = flags.ledger, .faults = flags.faults};
  options.faults.latency = {static_cast<std::int64_t>(flags.latency_ms * 1000)};
  return run_gateway(options, signals, log);
}

/// Of the libraries that read a store.
constexpr std::size_t kStoreThreads = 16;

struct CheckFlags {
  StoreAuditOptions audit{.data_directory = "./penstock-data"};
  std::string store;
  bool json = false;
};

/// Where `--store` says that the orders are; the error is a sentence.
std::expected<void, std::string> take_store(CheckFlags& flags) {
  auto const store = parse_store(flags.store, flags.audit.data_directory);
  if (!store) return std::unexpected(store.error());
  if (std::holds_alternative<MemoryOnly>(*store)) {
    return std::unexpected("--store memory:: nothing of it is left to check");
  }
  if (const auto* const database = std::get_if<SharedDatabase>(&*store)) {
    flags.audit.database_url = database->url;
  } else if (!flags.store.empty()) {
    flags.audit.store_directory = std::get<RocksStore>(*store).directory;
  }
  return {};
}

cli::ExitCode run_check(CheckFlags flags) {
  if (auto const taken = take_store(flags); !taken) {
    std::cerr << "penstock check: " << taken.error() << '\n';
    return cli::ExitCode::wrong_use;
  }
  if (auto const threads = system::can_start_threads(kStoreThreads); !threads) {
    std::cerr << "penstock check: " << threads.error() << '\n';
    return cli::ExitCode::failed;
  }
  auto const report = audit_store(flags.audit);
  if (!report) {
    std::cerr << "penstock check: " << report.error() << '\n';
    return cli::ExitCode::failed;
  }
  return cli::print_audit(*report, flags.json ? cli::OutputForm::json : cli::OutputForm::text,
                          std::cout);
}

}  // namespace

void add_gateway(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("gateway", "the sandbox payment gateway as a process of its own");
  auto const flags = std::make_shared<GatewayFlags>();
  CLI::Range const share(0.0, 1.0);
  command->add_option("--listen", flags->listen, "where to serve")
      ->capture_default_str()
      ->type_name("ADDR:PORT");
  command->add_option("--ledger", flags->ledger, "append-only file of money movements")
      ->capture_default_str()
      ->type_name("FILE");
  command->add_option("--decline", flags->faults.decline, "share of charges that are declined")
      ->check(share);
  command->add_option("--fail", flags->faults.fail, "share refused before acting, transiently")
      ->check(share);
  command->add_option("--drop-reply", flags->faults.drop_reply, "share that acts and never answers")
      ->check(share);
  command->add_option("--latency", flags->latency_ms, "milliseconds before each request acts")
      ->check(CLI::Range(0.0, 3'600'000.0));
  command->add_option("--concurrency", flags->faults.concurrency,
                      "requests in process at one time; 0: no bound");
  command->add_option("--seed", flags->faults.seed, "of the shares");
  command->callback([&action, flags] { action = [flags] { return start_gateway(*flags); }; });
}

void add_check(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "check",
      "audit a store at rest, or a shared one as it is now: every invariant, exit code 0 or 1");
  auto const flags = std::make_shared<CheckFlags>();
  command->add_option("--data", flags->audit.data_directory, "the data directory")
      ->envname("PENSTOCK_DATA")
      ->capture_default_str()
      ->type_name("DIR");
  command
      ->add_option("--store", flags->store,
                   "postgres://..., or rocksdb:DIR without a data directory")
      ->envname("PENSTOCK_STORE")
      ->type_name("URL");
  command
      ->add_option("--ledger", flags->audit.ledger_path,
                   "the gateway's ledger (default: the sandbox's in the data directory)")
      ->type_name("FILE");
  command
      ->add_option("--history", flags->audit.history_path,
                   "what all clients asked for and were told since the store was empty")
      ->type_name("FILE");
  command
      ->add_option("--webhooks", flags->audit.webhooks_path,
                   "what the receiver of webhooks was told; with --history")
      ->type_name("FILE");
  command->add_flag("--json", flags->json, "the report as JSON");
  command->callback([&action, flags] { action = [flags] { return run_check(*flags); }; });
}

void add_explain(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("explain", "what an error code or reason means, and what to do");
  auto const code = std::make_shared<std::string>();
  command->add_option("code", *code, "the code; without one all are listed");
  command->callback(
      [&action, code] { action = [code] { return cli::explain(*code, std::cout, std::cerr); }; });
}

}  // namespace penstock::main
