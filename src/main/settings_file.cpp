#include "main/settings_file.h"

#include <cerrno>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include <fmt/format.h>
#include <toml.hpp>

#include "net/json.h"

namespace penstock::main {
namespace {

constexpr std::size_t kMostFileBytes = std::size_t{1} << 20;

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

/// The whole file, or a sentence why not.
std::expected<std::string, std::string> read_bounded(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string whole(kMostFileBytes + 1, '\0');
  try {
    if (file) file.read(whole.data(), static_cast<std::streamsize>(whole.size()));
  } catch (const std::ios_base::failure&) {
    file.setstate(std::ios_base::badbit);
  }
  if (file.bad() || !file.is_open()) {
    return std::unexpected(
        fmt::format("{} cannot be read: {}", path, std::generic_category().message(errno)));
  }
  whole.resize(static_cast<std::size_t>(file.gcount()));
  if (whole.size() > kMostFileBytes) {
    return std::unexpected(fmt::format("{}: is longer than {} bytes, so it is no settings file",
                                       path, kMostFileBytes));
  }
  return whole;
}

}  // namespace

std::expected<SettingTexts, std::string> read_settings_file(const std::string& path) {
  std::error_code failed;
  auto const kind = std::filesystem::status(path, failed).type();
  if (kind == std::filesystem::file_type::not_found || kind == std::filesystem::file_type::none) {
    return std::unexpected(fmt::format("{} cannot be read: {}", path,
                                       failed ? failed.message() : "there is no such file"));
  }
  if (kind == std::filesystem::file_type::directory) {
    return std::unexpected(fmt::format("{} cannot be read: it is a directory", path));
  }
  auto const whole = read_bounded(path);
  if (!whole) return std::unexpected(whole.error());
  // TOML is UTF-8, and toml11 reads beyond its buffer where a string is not.
  if (!net::is_valid_utf8(*whole)) return std::unexpected(fmt::format("{}: is not UTF-8", path));
  try {
    std::istringstream source(*whole);
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
  } catch (const toml::exception& error) {
    // Its message shows the line, which may hold a key or a password.
    return std::unexpected(fmt::format("{}: line {} is not valid TOML, or names a key again", path,
                                       error.location().line()));
  } catch (const std::exception&) {
    return std::unexpected(fmt::format("{}: is not valid TOML", path));
  }
}

}  // namespace penstock::main
