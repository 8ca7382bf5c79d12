#include "simulation/scenario.h"

#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <istream>
#include <set>
#include <sstream>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <toml.hpp>

#include "simulation/scenario_fields.h"

namespace penstock::simulation {
namespace {

/// How deep a file may include others.
constexpr int kMaxIncludes = 4;

/// Sets one field from the document's value; what is wrong with it, or nothing.
struct SetField {
  const toml::value& document;
  std::set<std::pair<std::string, std::string>>& known;
  std::string& mistake;

  template <typename Value>
  void operator()(const char* section, const char* name, Value& value, Range) {
    known.emplace(section, name);
    if (!mistake.empty() || !document.contains(section)) return;
    const toml::value& table = document.at(section);
    if (!table.is_table() || !table.contains(name)) return;
    const toml::value& given = table.at(name);
    if constexpr (std::is_same_v<Value, bool>) {
      if (given.is_boolean()) value = given.as_boolean();
      if (!given.is_boolean()) mistake = fmt::format("{}.{} is true or false", section, name);
    } else if constexpr (std::is_same_v<Value, double>) {
      if (given.is_integer()) value = static_cast<double>(given.as_integer());
      if (given.is_floating()) value = given.as_floating();
      if (!given.is_integer() && !given.is_floating()) {
        mistake = fmt::format("{}.{} is a number", section, name);
      }
    } else {
      if (given.is_integer()) value = given.as_integer();
      if (!given.is_integer()) mistake = fmt::format("{}.{} is a whole number", section, name);
    }
  }
};

std::string unknown_field(const toml::value& document,
                          const std::set<std::pair<std::string, std::string>>& known) {
  for (const auto& [section, table] : document.as_table()) {
    if (section == "name" || section == "include" || section == "note" || section == "seeds") {
      continue;
    }
    if (!table.is_table()) return fmt::format("{} is not known", section);
    for (const auto& [name, value] : table.as_table()) {
      if (!known.contains({section, name})) return fmt::format("{}.{} is not known", section, name);
    }
  }
  return {};
}

/// Applies `document` over `scenario`; what is wrong with it, or nothing.
std::string apply(const toml::value& document, Scenario& scenario) {
  if (document.contains("name")) {
    if (!document.at("name").is_string()) return "name is a text";
    scenario.name = document.at("name").as_string().str;
  }
  std::set<std::pair<std::string, std::string>> known;
  std::string mistake;
  for_each_field(scenario, SetField{document, known, mistake});
  if (!mistake.empty()) return mistake;
  if (std::string unknown = unknown_field(document, known); !unknown.empty()) return unknown;
  return first_mistake(scenario);
}

std::string read_over(const std::filesystem::path& path, Scenario& scenario, int depth) {
  if (depth > kMaxIncludes) return fmt::format("{}: too many includes", path.string());
  std::ifstream file(path, std::ios::binary);
  if (!file) return fmt::format("{} cannot be read", path.string());
  const toml::value document = toml::parse(file, path.string());
  if (document.contains("include")) {
    for (const toml::value& other : document.at("include").as_array()) {
      std::string mistake =
          read_over(path.parent_path() / other.as_string().str, scenario, depth + 1);
      if (!mistake.empty()) return mistake;
    }
  }
  const std::string mistake = apply(document, scenario);
  return mistake.empty() ? mistake : fmt::format("{}: {}", path.string(), mistake);
}

}  // namespace

std::expected<Scenario, std::string> read_scenario(const std::string& path) {
  Scenario scenario;
  try {
    std::string mistake = read_over(path, scenario, 0);
    if (!mistake.empty()) return std::unexpected(std::move(mistake));
    return scenario;
  } catch (const std::exception& error) {
    return std::unexpected(fmt::format("{}: {}", path, error.what()));
  }
}

std::expected<Scenario, std::string> parse_scenario(std::string_view text) {
  Scenario scenario;
  try {
    std::istringstream stream{std::string(text)};
    const toml::value document = toml::parse(stream, "scenario");
    if (document.contains("include")) return std::unexpected("a text includes nothing");
    std::string mistake = apply(document, scenario);
    if (!mistake.empty()) return std::unexpected(std::move(mistake));
    return scenario;
  } catch (const std::exception& error) {
    return std::unexpected(error.what());
  }
}

std::string to_toml(const Scenario& scenario) {
  std::string text = fmt::format("name = \"{}\"\n", scenario.name);
  std::string open;
  for_each_field(scenario,
                 [&](std::string_view section, const char* name, const auto& value, Range) {
                   if (section != open) text += fmt::format("\n[{}]\n", section);
                   open = section;
                   if constexpr (std::is_same_v<std::decay_t<decltype(value)>, double>) {
                     const std::string number = fmt::format("{}", value);
                     const bool whole = number.find_first_of(".e") == std::string::npos;
                     text += fmt::format("{} = {}{}\n", name, number, whole ? ".0" : "");
                   } else {
                     text += fmt::format("{} = {}\n", name, value);
                   }
                 });
  return text;
}

std::string first_mistake(const Scenario& scenario) {
  std::string mistake;
  for_each_field(
      scenario, [&](const char* section, const char* name, const auto& value, Range range) {
        const auto number = static_cast<double>(value);
        if (mistake.empty() && !(number >= range.low && number <= range.high)) {
          mistake = fmt::format("{}.{} is outside {}..{}", section, name, range.low, range.high);
        }
      });
  if (mistake.empty() && scenario.workload.rate <= 0 && scenario.workload.closed_clients == 0) {
    mistake = "workload: neither a rate nor closed-loop clients";
  }
  return mistake;
}

}  // namespace penstock::simulation
