#pragma once

#include "adapters/system/stop_signals.h"
#include "cli/exit_code.h"
#include "main/serve_options.h"
#include "ports/clock.h"
#include "ports/log.h"

namespace penstock::main {

/// Serves until a signal asks it to stop or the store fails: opens store and gateway, drives the
/// pipeline, loads the demo catalog, listens. A first signal refuses new orders (503, and /readyz
/// says so), finishes what is in flight within the drain time and ends cleanly; a second one ends
/// the process at once. `done` after a stop, `failed` where something does not start or the store
/// stopped; why is in the log.
cli::ExitCode serve(const ServeOptions& options, system::StopSignals& signals, ports::Clock& clock,
                    ports::Log& log);

}  // namespace penstock::main
