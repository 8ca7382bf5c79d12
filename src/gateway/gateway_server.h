#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "gateway/ledger.h"
#include "gateway/sandbox.h"
#include "net/http_server.h"

namespace penstock::gateway {

struct GatewayServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one
  std::string ledger_path{};
  SandboxFaults faults{};
  std::size_t max_connections = 16'384;
  std::size_t max_pending = 65'536;  ///< requests not decided yet; further ones get a 503
  /// Called once, from the server's own thread, where the ledger could not be written: the gateway
  /// answers nobody any more, and its process should end. It must not call back into the server.
  std::function<void(LedgerError)> on_failure{};
};

/// Why a gateway could not start.
using GatewayServerError = std::variant<LedgerError, net::HttpServerError>;
/// One sentence for people.
std::string to_string(const GatewayServerError& error);

/// The sandbox gateway as an HTTP server (docs/gateway-protocol.md): one thread for the sockets,
/// one that decides what has come in, group by group, one sync each, before it answers. A lost
/// reply closes the connection. `GET /healthz` answers 200. Methods are for one thread.
class GatewayServer {
 public:
  explicit GatewayServer(GatewayServerOptions options);
  GatewayServer(const GatewayServer&) = delete;
  GatewayServer& operator=(const GatewayServer&) = delete;
  /// Stops.
  ~GatewayServer();

  /// Reads the ledger, listens, and serves on threads of its own. Called once. Raise the
  /// process's descriptor limit before for more than a few hundred connections.
  std::expected<void, GatewayServerError> start();
  /// The port listened on, once started.
  std::uint16_t port() const;
  /// Finishes the group in hand and closes everything: requests that still wait for their time
  /// have not acted and get no answer. Repeated calls do nothing.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::gateway
