#include "main/settings.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "domain/check.h"
#include "main/nearest_name.h"
#include "net/redaction.h"

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

std::string shown(const SettingRow& row, const std::string& text) {
  if (row.secrecy == Secrecy::secret) return quoted(text.empty() ? "" : net::kMask);
  if (row.secrecy == Secrecy::password_in_url) return quoted(shown_url(text));
  if (row.kind == SettingKind::on_off) return text;
  if (row.kind == SettingKind::integer) {
    // "010" is taken from a flag, but TOML has no leading zeros.
    std::int64_t number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size()) return fmt::format("{}", number);
  }
  return quoted(text);
}

std::vector<std::string> variable_names() {
  std::vector<std::string> names;
  for (const SettingRow& row : setting_table()) names.push_back(environment_name(row));
  return names;
}

std::vector<std::string> setting_names() {
  std::vector<std::string> names;
  for (const SettingRow& row : setting_table()) names.emplace_back(row.name);
  return names;
}

/// "PENSTOCK_SERVICE_HOST", "PENSTOCK_PORT", "PENSTOCK_WEB_PORT_9000_TCP_ADDR": Kubernetes tells
/// every container of a namespace about a service "penstock", and Docker's links do the same.
bool is_of_a_service(std::string_view name) {
  return name.ends_with("_SERVICE_HOST") || name.find("_SERVICE_PORT") != std::string_view::npos ||
         name.ends_with("_PORT") || name.find("_TCP") != std::string_view::npos ||
         name.find("_UDP") != std::string_view::npos;
}

}  // namespace

std::optional<std::string> why_unknown_variable(std::span<const std::string> names) {
  constexpr std::string_view kPrefix = "PENSTOCK_";
  std::vector<std::string> const known = variable_names();
  for (const std::string& name : names) {
    if (!name.starts_with(kPrefix) || is_of_a_service(name)) continue;
    if (std::ranges::find(known, name) != known.end()) continue;
    return fmt::format("environment {}: there is no such setting{}", name, suggestion(name, known));
  }
  return std::nullopt;
}

std::expected<Settings, std::string> Settings::resolve(const SettingSources& sources) {
  for (auto const& [name, text] : sources.file) {
    if (find_setting(name) == nullptr) {
      return std::unexpected(fmt::format("{}: unknown setting {}{}", sources.file_name, name,
                                         suggestion(name, setting_names())));
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
      if (found->empty()) {
        return std::unexpected(fmt::format(
            "environment {}: is set and empty; unset it, or give it a value", variable));
      }
      value = {.text = *std::move(found),
               .source = SettingSource::environment,
               .origin = fmt::format("environment {}", variable)};
    }
    if (auto const at = sources.flags.find(row.name); at != sources.flags.end()) {
      value = {.text = at->second,
               .source = SettingSource::flag,
               .origin = fmt::format("flag --{}", row.name)};
    }
    auto why = why_invalid(row, value.text);
    if (!why && row.secrecy == Secrecy::secret && value.text.empty() &&
        value.source != SettingSource::standard) {
      why = "is empty; leave it out for none";
    }
    if (why) {
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
    if (row.secrecy == Secrecy::secret && found.text.empty()) {
      out += fmt::format("# {} is not set\n", row.name);
      continue;
    }
    out += fmt::format("{} = {}  # {}\n", row.name, shown(row, found.text), found.origin);
  }
  return out;
}

}  // namespace penstock::main
