#pragma once

#include <cstdint>
#include <string>

#include "adapters/system/stop_signals.h"
#include "cli/exit_code.h"
#include "gateway/sandbox.h"
#include "main/serve_options.h"
#include "ports/log.h"

namespace penstock::main {

struct GatewayProcessOptions {
  ListenAddress listen;
  std::string ledger_path;
  gateway::SandboxFaults faults;
};

/// `penstock gateway`: the sandbox payment gateway as a process of its own, until a signal stops
/// it. `failed` where it does not start, or its ledger could not be written; why is in the log.
cli::ExitCode run_gateway(const GatewayProcessOptions& options, system::StopSignals& signals,
                          ports::Log& log);

}  // namespace penstock::main
