#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/load_engine.h"
#include "cli/process_reading.h"

namespace penstock::cli {

enum class Progress : std::uint8_t { shown, silent };

/// What `penstock bench` was asked for.
struct BenchOptions {
  std::string server;               ///< URL of a running server; empty: one is started for the run
  std::string gateway = "sandbox";  ///< of the started server: sandbox, a URL, or process
  std::string data;                 ///< of the started server; empty: a temporary directory
  std::string store;                ///< of the started server; empty: in its data directory
  std::size_t http_threads = 1;     ///< of the started server
  /// What the store has logged ahead since it was made, in bytes, where that can be asked.
  std::function<std::optional<std::uint64_t>()> read_wal{};
  LoadOptions load;  ///< but for the target
  Progress progress = Progress::shown;
};

/// The orders that ended a second, between two times of a run, from the server's own counters.
double ended_per_second(const std::vector<LoadMark>& marks, double from_seconds, double to_seconds);

/// Runs a load and prints its figures as JSON on `out`, each second's on `progress`. Without
/// BenchOptions::server it starts `penstock serve` on a free port for the run, and with the gateway
/// `process` a `penstock gateway` too; both end with it. `failed` if the server does not start or
/// is lost, or the backlog does not end in time.
ExitCode bench(const BenchOptions& options, const ProcessReader& read_process, std::ostream& out,
               std::ostream& progress);

}  // namespace penstock::cli
