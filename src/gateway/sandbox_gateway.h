#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <vector>

#include "domain/instant.h"
#include "gateway/ledger.h"
#include "gateway/sandbox.h"
#include "ports/payment_gateway.h"

namespace penstock::gateway {

struct SandboxGatewayOptions {
  std::string ledger_path{};  ///< its directory exists; `<path>.keys` is made beside it
  SandboxFaults faults{};
  std::size_t max_pending = 65'536;  ///< requests not decided yet; further ones are `unavailable`
};

/// The sandbox payment gateway in process (rules: sandbox.h). submit collects; each poll decides
/// what is due, as one group with one write and one sync of the ledger, and only then answers.
/// Latency and concurrency are counted on `now.wall`, whoever's clock that is; nothing acts before
/// its time has passed, so a process that ends first has not charged. One thread; no thread of its
/// own: poll blocks for the sync.
///
/// A failed write or sync is final: the group's requests are answered `unknown`, all others, now
/// and later, `unavailable`, and has_failed() is true. Nothing is retried; a restart recovers.
class SandboxGateway final : public ports::PaymentGateway {
 public:
  static std::expected<std::unique_ptr<SandboxGateway>, LedgerError> open(
      const SandboxGatewayOptions& options);

  void submit(std::span<ports::GatewayRequest> requests, domain::Now now) override;
  void poll(std::vector<ports::GatewayReply>& replies, domain::Now now) override;
  std::optional<domain::Instant> next_due() const override;

  /// Whether the ledger could not be written: the gateway never acts again.
  bool has_failed() const { return has_failed_; }
  const Sandbox& sandbox() const { return sandbox_; }

  /// Requests decided in one poll.
  static constexpr std::size_t kMaxGroup = 8192;

 private:
  struct Timed {
    domain::Instant due;
    std::uint64_t sequence = 0;
    std::uint32_t slot = 0;

    bool operator>(const Timed& other) const {
      return due != other.due ? due > other.due : sequence > other.sequence;
    }
  };

  SandboxGateway(Ledger ledger, Sandbox sandbox, const SandboxGatewayOptions& options);

  std::uint32_t keep(ports::GatewayRequest request);
  void begin(std::uint32_t slot, domain::Instant now);
  void begin_waiting(domain::Instant now);
  void decide_group(std::vector<ports::GatewayReply>& replies, domain::Instant now);
  void give_up(std::size_t first, std::vector<ports::GatewayReply>& replies);

  Ledger ledger_;
  Sandbox sandbox_;
  std::size_t max_pending_;
  std::size_t concurrency_;

  std::vector<ports::GatewayRequest> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::deque<std::uint32_t> waiting_;  ///< for one of the `concurrency` places
  std::priority_queue<Timed, std::vector<Timed>, std::greater<>> processing_;
  std::deque<std::uint32_t> ready_;
  std::size_t in_process_ = 0;  ///< in processing_ or ready_
  std::uint64_t next_sequence_ = 0;
  std::vector<ports::GatewayReply> at_once_;  ///< answers that need no decision
  domain::Instant last_submit_;
  std::string at_;
  bool has_failed_ = false;
};

}  // namespace penstock::gateway
