#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "domain/instant.h"

/// Every setting of `penstock serve` and `worker`, once: flag, environment variable, key of the
/// TOML file, form, default and help all come from the one row.
namespace penstock::main {

enum class SettingKind : std::uint8_t {
  text,
  on_off,    ///< a flag; elsewhere "true" or "false"
  integer,   ///< within SettingRow::least and most
  duration,  ///< a number with us, ms, s, m, h or d; seconds without; least and most are in us
  rate,      ///< tokens a second, an exact decimal
  choice,    ///< one of SettingRow::choices, separated by '|'
};

/// Whether the value may be shown, and stand on a command line that others can read.
enum class Secrecy : std::uint8_t {
  shown,
  password_in_url,  ///< shown without it (shown_url); better in the environment or a password file
  secret,           ///< a key: kLeastKeyBytes or more of printable ASCII without spaces
};

/// Shorter keys can be guessed.
inline constexpr std::size_t kLeastKeyBytes = 24;
inline constexpr std::size_t kMostKeyBytes = 512;

struct SettingRow {
  std::string_view name;  ///< "drain-seconds": the flag without its dashes, and the file's key
  SettingKind kind = SettingKind::text;
  std::string_view standard{};  ///< the default, as it would be written
  std::string_view value{};     ///< what stands for the value in help: "ADDR:PORT"
  std::string_view help{};      ///< one line
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::string_view choices{};
  Secrecy secrecy = Secrecy::shown;
};

/// All rows, in the order they are shown.
std::span<const SettingRow> setting_table();
const SettingRow* find_setting(std::string_view name);

/// "drain-seconds" -> "PENSTOCK_DRAIN_SECONDS".
std::string environment_name(const SettingRow& row);

/// Why `value` is not one of the row's; nothing if it is.
std::optional<std::string> why_invalid(const SettingRow& row, std::string_view value);

/// The value of a setting that may hold a URL as it may be printed and logged: "sandbox",
/// "rocksdb:DIR" and "memory:" as they are, anything else by net::redacted.
std::string shown_url(std::string_view text);

/// Reads "250ms", "30s", "24h", "30" (seconds); nothing if malformed, negative or above a hundred
/// years.
std::optional<domain::Duration> parse_duration(std::string_view text);

}  // namespace penstock::main
