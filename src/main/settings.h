#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "domain/instant.h"
#include "domain/token_bucket.h"
#include "main/setting_table.h"

namespace penstock::main {

/// Values by setting name, as one source gave them.
using SettingTexts = std::map<std::string, std::string, std::less<>>;

enum class SettingSource : std::uint8_t { standard, file, environment, flag };

/// Where values come from, the strongest last: the table's defaults, a file, the environment,
/// flags.
struct SettingSources {
  SettingTexts flags{};
  /// Looks an environment variable up.
  std::function<std::optional<std::string>(const std::string& name)> environment{};
  SettingTexts file{};
  std::string file_name{};  ///< for messages and --print-config
};

/// Whether one of these names of environment variables begins like a setting's and is none; what
/// others put there (Kubernetes and Docker for a service of this name) does not count. The answer
/// is a sentence for the operator.
std::optional<std::string> why_unknown_variable(std::span<const std::string> names);

/// The settings in force, each valid for its row and with its source. Asking for a name that is not
/// in the table, or for a value of another kind, is a bug and stops the process.
class Settings {
 public:
  /// Takes for each row the strongest source that has it. The error is a sentence for the operator:
  /// an unknown key, or a value that its row refuses, and where it came from.
  static std::expected<Settings, std::string> resolve(const SettingSources& sources);

  const std::string& text(std::string_view name) const;
  bool on(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  domain::Duration duration(std::string_view name) const;
  domain::TokenRate rate(std::string_view name) const;
  SettingSource source(std::string_view name) const;

  /// The settings as a TOML file that gives the same ones, each line with its source; secrets are
  /// masked, and a mask that is read back is refused.
  std::string print() const;

 private:
  struct Value {
    std::string text;
    SettingSource source = SettingSource::standard;
    std::string origin;  ///< "flag --data", "environment PENSTOCK_DATA"
  };

  const Value& value(std::string_view name) const;

  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace penstock::main
