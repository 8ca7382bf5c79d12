#pragma once

#include <expected>
#include <string>

#include "checker/report.h"

namespace penstock::main {

struct StoreAuditOptions {
  std::string data_directory;  ///< of a server that is not running
  std::string ledger_path;  ///< the gateway's; empty: the sandbox's in the data directory, if any
};

/// Reads a store at rest and its gateway's ledger into the checker. The error is a sentence: what
/// could not be opened.
std::expected<checker::Report, std::string> audit_store(const StoreAuditOptions& options);

}  // namespace penstock::main
