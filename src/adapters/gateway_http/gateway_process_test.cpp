#include "adapters/gateway_http/gateway_process_test.h"

#include <utility>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/gateway_server.h"
#include "net/descriptor_limit.h"

namespace penstock::gateway_http::testing {
namespace {

/// Never returns.
[[noreturn]] void serve(gateway::GatewayServerOptions options, int port_pipe) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  net::raise_descriptor_limit();
  int status = 1;
  {
    gateway::GatewayServer server(std::move(options));
    const std::uint16_t port = server.start() ? server.port() : std::uint16_t{0};
    const bool told = ::write(port_pipe, &port, sizeof port) == sizeof port;
    int received = 0;
    if (told && port != 0 && ::sigwait(&signals, &received) == 0) status = 0;
    server.stop();
  }
  ::_exit(status);
}

}  // namespace

GatewayProcess::GatewayProcess(std::string ledger_path, const gateway::SandboxFaults& faults) {
  int ends[2];
  if (::pipe(ends) != 0) return;
  process_ = ::fork();
  if (process_ == 0) {
    ::close(ends[0]);
    serve({.ledger_path = std::move(ledger_path), .faults = faults}, ends[1]);
  }
  ::close(ends[1]);
  std::uint16_t port = 0;
  if (::read(ends[0], &port, sizeof port) == sizeof port) port_ = port;
  ::close(ends[0]);
}

GatewayProcess::~GatewayProcess() {
  kill();
}

void GatewayProcess::kill() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(std::exchange(process_, -1), nullptr, 0);
}

bool GatewayProcess::terminate() {
  if (process_ <= 0) return false;
  ::kill(process_, SIGTERM);
  int status = 0;
  ::waitpid(std::exchange(process_, -1), &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace penstock::gateway_http::testing
