#pragma once

#include <string_view>

namespace penstock::main {

/// The project's version, set by the build.
inline constexpr std::string_view kVersion = PENSTOCK_VERSION;

}  // namespace penstock::main
