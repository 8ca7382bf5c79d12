#include "main/gateway_process.h"

#include <atomic>
#include <string_view>

#include "adapters/system/process_start.h"
#include "gateway/gateway_server.h"
#include "main/end_guard.h"
#include "main/version.h"
#include "net/descriptor_limit.h"

namespace penstock::main {

cli::ExitCode run_gateway(const GatewayProcessOptions& options, system::StopSignals& signals,
                          ports::Log& log) {
  net::raise_descriptor_limit();
  EndGuard end(log);
  std::atomic<bool> failed{false};
  gateway::GatewayServer server(
      {.address = options.listen.address,
       .port = options.listen.port,
       .ledger_path = options.ledger_path,
       .faults = options.faults,
       .on_failure = [&](gateway::LedgerError error) {
         log.write(ports::LogLevel::error, "the gateway has stopped",
                   {{"path", options.ledger_path}, {"detail", gateway::to_string(error)}});
         failed = true;
         signals.notify();
       }});
  if (auto const started = server.start(); !started) {
    log.write(ports::LogLevel::error, "the gateway does not start",
              {{"wanted", options.listen.str()},
               {"path", options.ledger_path},
               {"detail", gateway::to_string(started.error())}});
    return cli::ExitCode::failed;
  }
  ListenAddress bound = options.listen;
  bound.port = server.port();
  log.write(ports::LogLevel::info, "gateway listening",
            {{"version", kVersion}, {"address", bound.str()}, {"ledger", options.ledger_path}});
  if (system::runs_as_root()) log.write(ports::LogLevel::warning, system::kRootWarning, {});
  while (!failed && signals.wait() != system::StopCause::signal) {
  }
  signals.exit_on_next();
  end.begin(kEndMargin);
  server.stop();
  if (!failed) log.write(ports::LogLevel::info, "gateway stopped", {});
  return failed ? cli::ExitCode::failed : cli::ExitCode::done;
}

}  // namespace penstock::main
