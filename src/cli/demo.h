#pragma once

#include <expected>
#include <functional>
#include <ostream>
#include <string>

#include "checker/report.h"
#include "cli/demo_stage.h"
#include "cli/exit_code.h"

namespace penstock::cli {

struct DemoOptions {
  std::string program;  ///< the path of this program, whose serve and gateway are started
  Pace pace = Pace::watched;
  Colour colour = Colour::off;
};

/// Audits a store at rest with its gateway's ledger; the error is a sentence. Handed in by main.
using StoreAuditor = std::function<std::expected<checker::Report, std::string>(
    const std::string& data_directory, const std::string& ledger)>;

/// A visible run against a real server and a real gateway, processes of their own on free ports and
/// in a temporary directory: an order stage by stage, a declined card, a payment that fails twice,
/// an empty shelf, a flooded tenant, a cancelled order, a kill -9 with orders in flight, and the
/// closing balance of money and stock. `done` only if all of it went as it must and the balance is
/// right.
ExitCode demo(const DemoOptions& options, const StoreAuditor& audit, std::ostream& out,
              std::ostream& complaints);

}  // namespace penstock::cli
