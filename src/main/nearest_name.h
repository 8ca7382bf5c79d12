#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace penstock::main {

/// The one of `names` that `wrong` was most likely meant to be: as few letters as possible are
/// missing, added, changed or swapped, and at most a third of them. Nothing if none is that near.
std::optional<std::string> nearest_name(std::string_view wrong, std::span<const std::string> names);

/// "; did you mean NAME?", or nothing.
std::string suggestion(std::string_view wrong, std::span<const std::string> names);

}  // namespace penstock::main
