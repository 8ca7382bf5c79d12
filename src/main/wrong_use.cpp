#include "main/wrong_use.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "main/nearest_name.h"
#include "net/redaction.h"

namespace penstock::main {
namespace {

/// The innermost command that was named.
const CLI::App& named(const CLI::App& app) {
  const CLI::App* at = &app;
  while (true) {
    auto const below = at->get_subcommands();
    if (below.empty()) return *at;
    at = below.back();
  }
}

std::string path_of(const CLI::App& command) {
  const CLI::App* const parent = command.get_parent();
  return parent == nullptr ? "penstock" : path_of(*parent) + " " + command.get_name();
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* const each : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(each->get_name());
  }
  return names;
}

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* const option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

/// A word that may be shown: no key looks like one.
bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= 16 && std::ranges::all_of(text, [](char letter) {
    return (letter >= 'a' && letter <= 'z') || letter == '-';
  });
}

std::string why_unexpected(const CLI::App& command, const std::string& argument) {
  std::string const path = path_of(command);
  if (argument.starts_with("-") && argument != "-") {
    std::string const flag = argument.substr(0, argument.find('='));
    if (flag == "--admin-key") {
      return path +
             ": the admin key has no flag, since every user of the machine can read a "
             "command line; set PENSTOCK_ADMIN_KEY, or admin-key in the file of --config";
    }
    return fmt::format("{}: unknown flag {}{}", path, net::redacted_sentence(flag),
                       suggestion(flag, flags_of(command)));
  }
  std::vector<std::string> const commands = commands_of(command);
  if (commands.empty()) {
    return path + ": an argument too many" +
           (is_plain_word(argument) ? ": " + argument : std::string());
  }
  if (!is_plain_word(argument)) return path + ": unknown command";
  return fmt::format("{}: unknown command {}{}", path, argument, suggestion(argument, commands));
}

}  // namespace

std::string why_wrong_use(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = named(app);
  std::string const path = path_of(command);
  std::string const help = fmt::format("\nsee {} --help", path);
  // What is left over says more than that something is missing.
  std::vector<std::string> const left = command.remaining(true);
  std::vector<std::string> const above = app.remaining(true);
  const std::vector<std::string>& unexpected = left.empty() ? above : left;
  auto const flag = std::ranges::find_if(
      unexpected, [](const std::string& argument) { return argument.starts_with("-"); });
  if (!unexpected.empty()) {
    return why_unexpected(command, flag == unexpected.end() ? unexpected.front() : *flag) + help;
  }
  std::vector<std::string> const commands = commands_of(command);
  bool const wants_command = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                             !commands.empty() && command.get_subcommands().empty();
  if (wants_command) {
    return fmt::format("{}: a command is required, one of {}{}", path, fmt::join(commands, ", "),
                       help);
  }
  return fmt::format("{}: {}{}", path, net::redacted_sentence(error.what()), help);
}

}  // namespace penstock::main
