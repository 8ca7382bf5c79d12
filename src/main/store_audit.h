#pragma once

#include <expected>
#include <string>

#include "checker/report.h"

namespace penstock::main {

struct StoreAuditOptions {
  std::string data_directory;     ///< of a server that is not running
  std::string store_directory{};  ///< where it is not in the data directory
  std::string database_url{};     ///< of a shared store, instead; its processes may run
  std::string ledger_path{};  ///< the gateway's; empty: the sandbox's in the data directory, if any
  std::string
      history_path{};  ///< of all clients since the store was empty (docs/history.md); or ""
  std::string webhooks_path{};  ///< of the receiver of webhooks; needs a history
};

/// Reads a store at rest, or a shared one as of one moment, its gateway's ledger and what clients
/// recorded into the checker. The error is a sentence: what could not be opened or read.
std::expected<checker::Report, std::string> audit_store(const StoreAuditOptions& options);

}  // namespace penstock::main
