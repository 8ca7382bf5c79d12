#pragma once

#include <ostream>
#include <string>

#include "cli/exit_code.h"

namespace penstock::cli {

/// Prints the page of an error code or reason; without a code, lists all of them with a line each.
/// `failed` for a code that has no page, with the nearest ones named on `complaints`.
ExitCode explain(const std::string& code, std::ostream& out, std::ostream& complaints);

}  // namespace penstock::cli
