#include "main/settings_file.h"

#include <exception>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <toml.hpp>

#include "net/json.h"

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
  std::string const whole{std::istreambuf_iterator<char>(file), {}};
  // TOML is UTF-8, and toml11 reads beyond its buffer where a string is not.
  if (!net::is_valid_utf8(whole)) return std::unexpected(fmt::format("{}: is not UTF-8", path));
  try {
    std::istringstream source(whole);
    toml::value const document = toml::parse(source, path);
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
