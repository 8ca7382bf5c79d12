#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/child_process.h"
#include "cli/server_access.h"

namespace penstock::cli {

/// What the demonstration orders.
struct DemoOrder {
  std::string key{};  ///< idempotency key
  std::string tenant = "default";
  std::string product = "PROD-001";
  int quantity = 1;
  std::string price = "10.00";
  std::string payment = "pm_ok";
};

/// One line of an order's timeline, as the server tells it.
struct DemoEvent {
  std::string from;
  std::string to;
  std::string stage;
  std::string reason;
  std::int64_t attempt = 0;
};

/// A server and a gateway of the demonstration's own, and what is asked of them. A failure is told
/// by an exception of type DemoFailure, which ends the run.
class DemoServer {
 public:
  explicit DemoServer(std::string program);

  void start_gateway();
  void start_server();
  /// kill -9, as a power cut.
  void kill_server();
  /// SIGTERM; true if it ended cleanly.
  bool stop_server();
  void stop_gateway();

  struct Placed {
    int status = 0;
    std::string order;        ///< its id, where it was accepted
    std::string retry_after;  ///< seconds, where it was refused for its tenant's rate
  };
  Placed place(const DemoOrder& order);
  /// Waits until it has ended, at most two minutes; its status.
  std::string wait_for_end(const std::string& order);
  std::string status_of(const std::string& order);
  std::vector<DemoEvent> events_of(const std::string& order);
  ServerAnswer call(net::HttpMethod method, const std::string& target,
                    const std::string& body = "");

  const std::string& url() const { return server_->url; }
  std::string data() const { return directory_.path() + "/data"; }
  std::string ledger() const { return directory_.path() + "/ledger.jsonl"; }

 private:
  TemporaryDirectory directory_;
  std::string program_;
  std::optional<ListeningProcess> gateway_;
  std::optional<ListeningProcess> server_;
  std::unique_ptr<ServerClient> client_;
};

/// Why the demonstration cannot go on.
class DemoFailure {
 public:
  explicit DemoFailure(std::string why) : why_(std::move(why)) {}
  const std::string& why() const { return why_; }

 private:
  std::string why_;
};

}  // namespace penstock::cli
