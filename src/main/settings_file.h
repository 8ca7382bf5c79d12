#pragma once

#include <expected>
#include <string>

#include "main/settings.h"

namespace penstock::main {

/// Reads a TOML file of settings: `name = value` at the top level, strings, integers, numbers and
/// booleans. The error is a sentence for the operator. Whether names and values are known is
/// Settings' to say.
std::expected<SettingTexts, std::string> read_settings_file(const std::string& path);

}  // namespace penstock::main
