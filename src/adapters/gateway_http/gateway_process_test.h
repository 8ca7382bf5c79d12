#pragma once

#include <cstdint>
#include <string>

#include "gateway/sandbox.h"

namespace penstock::gateway_http::testing {

/// The sandbox gateway in a process of its own, which ends with the test. Made before the test
/// starts a thread.
class GatewayProcess {
 public:
  /// Serves on a free port; port() is 0 if it could not start.
  GatewayProcess(std::string ledger_path, const gateway::SandboxFaults& faults);
  GatewayProcess(const GatewayProcess&) = delete;
  GatewayProcess& operator=(const GatewayProcess&) = delete;
  ~GatewayProcess();

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  /// kill -9, and waits for the end.
  void kill();
  /// SIGTERM, and waits for the end; whether it ended well.
  bool terminate();

 private:
  int process_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace penstock::gateway_http::testing
