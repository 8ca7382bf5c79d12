#include "main/settings.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "domain/check.h"

namespace penstock::main {
namespace {

/// Literal strings of TOML 1.0 take anything but a single quote; the rest is escaped.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char const letter : text) {
    auto const code = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (code < 0x20 || code == 0x7F) {
      out += fmt::format("\\u{:04X}", code);
    } else {
      out += letter;
    }
  }
  return out += '"';
}

constexpr std::string_view kMask = "********";

/// A database's URL without the password that it may carry: "postgres://user:********@host/name".
std::string without_password(std::string url) {
  constexpr std::string_view kParameter = "password=";
  if (std::size_t const at = url.find(kParameter); at != std::string::npos) {
    std::size_t const from = at + kParameter.size();
    std::size_t const end = std::min(url.find('&', from), url.size());
    url.replace(from, end - from, kMask);
  }
  std::size_t const scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  std::size_t const at = url.find('@', scheme);
  std::size_t const colon = url.find(':', scheme + 3);
  if (at == std::string::npos || colon >= at) return url;
  return url.replace(colon + 1, at - colon - 1, kMask);
}

std::string shown(const SettingRow& row, const std::string& text) {
  if (row.secrecy == Secrecy::secret && !text.empty()) return "\"********\"";
  if (row.secrecy == Secrecy::password_in_url) return quoted(without_password(text));
  if (row.kind == SettingKind::on_off) return text;
  if (row.kind == SettingKind::integer) {
    // "010" is taken from a flag, but TOML has no leading zeros.
    std::int64_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size()) return fmt::format("{}", number);
  }
  return quoted(text);
}

}  // namespace

std::expected<Settings, std::string> Settings::resolve(const SettingSources& sources) {
  for (auto const& [name, text] : sources.file) {
    if (find_setting(name) == nullptr) {
      return std::unexpected(fmt::format("{}: unknown setting {}", sources.file_name, name));
    }
  }
  Settings settings;
  for (const SettingRow& row : setting_table()) {
    Value value{.text = std::string(row.standard), .origin = "default"};
    if (auto const at = sources.file.find(row.name); at != sources.file.end()) {
      value = {.text = at->second,
               .source = SettingSource::file,
               .origin = fmt::format("file {}", sources.file_name)};
    }
    std::string const variable = environment_name(row);
    if (auto found = sources.environment ? sources.environment(variable) : std::nullopt) {
      value = {.text = *std::move(found),
               .source = SettingSource::environment,
               .origin = fmt::format("environment {}", variable)};
    }
    if (auto const at = sources.flags.find(row.name); at != sources.flags.end()) {
      value = {.text = at->second,
               .source = SettingSource::flag,
               .origin = fmt::format("flag --{}", row.name)};
    }
    if (auto const why = why_invalid(row, value.text)) {
      return std::unexpected(
          fmt::format("{}: {} {} (is {})", value.origin, row.name, *why, shown(row, value.text)));
    }
    settings.values_.emplace(row.name, std::move(value));
  }
  return settings;
}

const Settings::Value& Settings::value(std::string_view name) const {
  auto const at = values_.find(name);
  PENSTOCK_CHECK(at != values_.end(), "the setting is in the table");
  return at->second;
}

const std::string& Settings::text(std::string_view name) const {
  return value(name).text;
}

bool Settings::on(std::string_view name) const {
  return value(name).text == "true";
}

std::int64_t Settings::integer(std::string_view name) const {
  const std::string& text = value(name).text;
  std::int64_t number = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  PENSTOCK_CHECK(error == std::errc{} && !text.empty() && *end == '\0', "it is an integer's row");
  return number;
}

domain::Duration Settings::duration(std::string_view name) const {
  auto const duration = parse_duration(value(name).text);
  PENSTOCK_CHECK(duration.has_value(), "it is a duration's row");
  return *duration;
}

domain::TokenRate Settings::rate(std::string_view name) const {
  auto const rate = domain::parse_rate_per_second(value(name).text);
  PENSTOCK_CHECK(rate.has_value(), "it is a rate's row");
  return *rate;
}

SettingSource Settings::source(std::string_view name) const {
  return value(name).source;
}

std::string Settings::print() const {
  std::string out;
  for (const SettingRow& row : setting_table()) {
    const Value& found = value(row.name);
    out += fmt::format("{} = {}  # {}\n", row.name, shown(row, found.text), found.origin);
  }
  return out;
}

}  // namespace penstock::main
