#include "main/settings_file.h"

#include <exception>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <toml.hpp>

namespace penstock::main {
namespace {

std::optional<std::string> text_of(const toml::value& value) {
  switch (value.type()) {
    case toml::value_t::string:
      return value.as_string().str;
    case toml::value_t::integer:
      return std::to_string(value.as_integer());
    case toml::value_t::floating:
      return fmt::format("{}", value.as_floating());
    case toml::value_t::boolean:
      return value.as_boolean() ? "true" : "false";
    default:
      return std::nullopt;
  }
}

}  // namespace

std::expected<SettingTexts, std::string> read_settings_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(fmt::format("{} cannot be read", path));
  try {
    toml::value const document = toml::parse(file, path);
    SettingTexts texts;
    for (auto const& [name, value] : document.as_table()) {
      auto const text = text_of(value);
      if (!text) {
        return std::unexpected(
            fmt::format("{}: {} needs a string, a number or a boolean", path, name));
      }
      texts.emplace(name, *text);
    }
    return texts;
  } catch (const std::exception& error) {
    return std::unexpected(fmt::format("{}: {}", path, error.what()));
  }
}

}  // namespace penstock::main
