#pragma once

#include <cstdint>

namespace penstock::cli {

/// What a command ends with, as the shell sees it.
enum class ExitCode : std::uint8_t { done = 0, failed = 1, wrong_use = 2 };

}  // namespace penstock::cli
