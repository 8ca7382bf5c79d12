#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "adapters/system/json_log.h"
#include "adapters/system/stop_signals.h"
#include "adapters/system/system_clock.h"
#include "main/command.h"
#include "main/serve.h"
#include "main/settings.h"
#include "main/settings_file.h"

namespace penstock::main {
namespace {

struct ServeFlags {
  Role role = Role::server;
  SettingTexts settings;
  std::map<std::string, std::string> switches;  ///< of on_off settings; "" where not given
  std::string config;
  bool print = false;
};

std::optional<std::string> environment_variable(const std::string& name) {
  // The process has one thread while it reads its settings.
  const char* const value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
  if (value == nullptr) return std::nullopt;
  return value;
}

cli::ExitCode wrong_use(Role role, const std::string& why) {
  std::cerr << "penstock " << (role == Role::server ? "serve" : "worker") << ": " << why << '\n';
  return cli::ExitCode::wrong_use;
}

cli::ExitCode run_serve(const ServeFlags& flags) {
  SettingTexts given = flags.settings;
  for (auto const& [name, text] : flags.switches) {
    if (!text.empty()) given[name] = text;
  }
  SettingSources sources{
      .flags = std::move(given), .environment = environment_variable, .file_name = flags.config};
  if (!flags.config.empty()) {
    auto file = read_settings_file(flags.config);
    if (!file) return wrong_use(flags.role, file.error());
    sources.file = std::move(*file);
  }
  auto const settings = Settings::resolve(sources);
  if (!settings) return wrong_use(flags.role, settings.error());
  auto const options = serve_options(*settings, flags.role);
  if (!options) return wrong_use(flags.role, options.error());
  if (flags.print) {
    std::cout << settings->print();
    return cli::ExitCode::done;
  }
  system::StopSignals signals;
  system::SystemClock clock;
  system::JsonLog log(clock, options->log_level, STDERR_FILENO);
  return serve(*options, signals, clock, log);
}

void add_setting(CLI::App& command, const SettingRow& row, ServeFlags& flags) {
  // What stands on a command line can be read by every user of the machine.
  if (row.secrecy == Secrecy::secret) return;
  std::string const flag = "--" + std::string(row.name);
  std::string help(row.help);
  help += " [" + environment_name(row) + "]";
  std::string const name(row.name);
  if (row.kind == SettingKind::on_off) {
    // "--flag" says true, "--flag=false" the other thing.
    command.add_flag(flag, flags.switches[name], help + " [=true|false]");
    return;
  }
  SettingTexts& texts = flags.settings;
  if (!row.standard.empty()) help += " (default " + std::string(row.standard) + ")";
  command
      .add_option_function<std::string>(
          flag, [&texts, name](const std::string& text) { texts[name] = text; }, help)
      ->type_name(std::string(row.value));
}

void add_config_flags(CLI::App& command, ServeFlags& flags) {
  command.add_option("--config", flags.config, "TOML file of settings")->type_name("FILE");
  command.add_flag("--print-config", flags.print,
                   "print the settings in force and where each is from, then end");
}

/// What a worker without clients has no use for.
bool is_for_servers(std::string_view setting) {
  constexpr std::array kServers{"stages",       "data",          "demo-catalog",
                                "accept-clock", "memory-budget", "max-active"};
  return std::ranges::find(kServers, setting) != kServers.end();
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  CLI::App* const command =
      app.add_subcommand("serve", "all five stages and the HTTP interface in one process");
  auto const flags = std::make_shared<ServeFlags>();
  for (const SettingRow& row : setting_table()) add_setting(*command, row, *flags);
  add_config_flags(*command, *flags);
  command->footer(
      "A flag beats the environment variable in brackets, which beats the file. The admin key "
      "comes "
      "from PENSTOCK_ADMIN_KEY or the file's admin-key.");
  command->callback([&action, flags] { action = [flags] { return run_serve(*flags); }; });
}

void add_worker(CLI::App& app, Action& action) {
  CLI::App* const command = app.add_subcommand(
      "worker", "some stages of a pipeline whose database several processes share");
  auto const flags = std::make_shared<ServeFlags>();
  flags->role = Role::worker;
  auto const stages = std::make_shared<std::vector<std::string>>();
  command
      ->add_option("--stage", *stages,
                   "inventory, payment, fulfillment or notification; again or with commas for more")
      ->required()
      ->delimiter(',')
      ->type_name("STAGE");
  for (const SettingRow& row : setting_table()) {
    if (!is_for_servers(row.name)) add_setting(*command, row, *flags);
  }
  add_config_flags(*command, *flags);
  command->footer(
      "It takes no orders in; with --listen it answers /healthz, /readyz and /metrics, without it "
      "listens nowhere.");
  command->callback([&action, flags, stages] {
    std::string& named = flags->settings["stages"];
    for (const std::string& stage : *stages) named += (named.empty() ? "" : ",") + stage;
    action = [flags] { return run_serve(*flags); };
  });
}

}  // namespace penstock::main
