#pragma once

#include <ostream>

#include "checker/report.h"
#include "cli/exit_code.h"

namespace penstock::cli {

enum class OutputForm : std::uint8_t { text, json };

/// Prints an audit's report; `failed` if an invariant is broken.
ExitCode print_audit(const checker::Report& report, OutputForm form, std::ostream& out);

}  // namespace penstock::cli
