#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

#include <CLI/CLI.hpp>

#include "adapters/postgres/postgres_store_options.h"
#include "adapters/system/process_start.h"
#include "main/command.h"
#include "main/serve_options.h"
#include "main/setting_table.h"
#include "main/store_copy.h"

namespace penstock::main {
namespace {

/// Of the libraries that read a store.
constexpr std::size_t kStoreThreads = 16;

struct CopyFlags {
  std::string from;
  std::string to;
  bool history = false;
  bool abandon = false;
};

/// The store's directory of "rocksdb:DIR", where DIR may be a server's data directory too.
std::optional<std::string> source_of(const std::string& from) {
  constexpr std::string_view kScheme = "rocksdb:";
  if (!from.starts_with(kScheme)) return std::nullopt;
  const std::string directory = from.substr(kScheme.size());
  for (const std::string& each : {directory, directory + "/store"}) {
    std::error_code unreadable;
    if (std::filesystem::exists(each + "/CURRENT", unreadable)) return each;
  }
  return std::nullopt;
}

cli::ExitCode run_copy(const CopyFlags& flags) {
  const auto source = source_of(flags.from);
  if (!source) {
    std::cerr << "penstock copy: --from " << shown_url(flags.from)
              << ": needs rocksdb:DIR with a store\n";
    return cli::ExitCode::wrong_use;
  }
  const auto target = parse_store(flags.to, "");
  if (!target || !std::holds_alternative<SharedDatabase>(*target)) {
    std::cerr << "penstock copy: --to needs postgres://..."
              << (target ? "" : "; as a store it is refused: " + target.error()) << '\n';
    return cli::ExitCode::wrong_use;
  }
  if (auto const threads = system::can_start_threads(kStoreThreads); !threads) {
    std::cerr << "penstock copy: " << threads.error() << '\n';
    return cli::ExitCode::failed;
  }
  const CopyAct act = flags.history   ? CopyAct::history
                      : flags.abandon ? CopyAct::abandon
                                      : CopyAct::cut_over;
  const auto done = copy_store({.source = *source,
                                .target = flags.to,
                                .schema = postgres_store::PostgresStoreOptions{}.schema,
                                .act = act},
                               std::cout);
  if (done) return cli::ExitCode::done;
  std::cerr << "penstock copy: " << done.error() << '\n';
  return cli::ExitCode::failed;
}

}  // namespace

void add_copy(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "copy", "move an embedded store into a database; run again after an interruption");
  auto const flags = std::make_shared<CopyFlags>();
  command->add_option("--from", flags->from, "the embedded store: rocksdb:DIR")->required();
  command->add_option("--to", flags->to, "the empty database: postgres://...")->required();
  CLI::Option* const history = command->add_flag(
      "--history", flags->history, "only what ended, also while a server runs; may be repeated");
  command
      ->add_flag("--abandon", flags->abandon,
                 "give up a copy that did not finish, so that the source may be served")
      ->excludes(history);
  command->callback([&action, flags] { action = [flags] { return run_copy(*flags); }; });
}

}  // namespace penstock::main
