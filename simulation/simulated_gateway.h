#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "domain/instant.h"
#include "domain/money.h"
#include "domain/saga.h"
#include "ports/payment_gateway.h"
#include "simulation/peer_connection.h"
#include "simulation/random_stream.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// The payment gateway: honest by its rules, with a ledger that it tells the judge by itself, and
/// all misfortunes of its scenario on the way to and from it. Outlives every process; a request
/// that was sent acts even if its sender is gone by then. One thread.
///
/// - Under one key the same charge or refund acts once and gets the same answer; with other
///   parameters it is permanently refused. A charge that comes again after the key's retention is
///   a new one: the dedupe is forgotten, the capture is not.
/// - close: `done` where captured, else the key never captures. find: what is known.
/// - A refund pays one capture back, once, whatever the key.
class SimulatedGateway {
 public:
  explicit SimulatedGateway(Surroundings& around);

  /// A process's way to the gateway. `wake` is called when a reply arrived, `sending` before each
  /// request leaves, `poisoned` when the charge of a poison order left; both may throw Crash, and
  /// what was sent before is on its way.
  class Connection final : public ports::PaymentGateway {
   public:
    Connection(SimulatedGateway& gateway, std::function<void()> wake, std::function<void()> sending,
               std::function<void()> poisoned);
    ~Connection() override { box_->close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void submit(std::span<ports::GatewayRequest> requests, domain::Now now) override;
    void poll(std::vector<ports::GatewayReply>& replies, domain::Now) override {
      box_->take(replies);
    }
    std::optional<domain::Instant> next_due() const override { return std::nullopt; }

   private:
    SimulatedGateway& gateway_;
    std::shared_ptr<ReplyBox<ports::GatewayReply>> box_;
    std::function<void()> sending_;
    std::function<void()> poisoned_;
  };

  /// How much longer than its promise the gateway remembers keys: what the processes' clocks may
  /// be wrong by. Grows with every jump.
  void allow_for_clock_error(domain::Duration error) { clock_error_.us += error.us; }

 private:
  using Box = std::shared_ptr<ReplyBox<ports::GatewayReply>>;

  struct Key {
    std::optional<ports::GatewayRequest> first;
    domain::Instant since;
    int on_the_way = 0;    ///< charges sent and not arrived
    bool unheard = false;  ///< an outcome under it was once unknown to its sender
    bool captured = false;
    bool declined = false;
    bool closed = false;
    bool refunded = false;      ///< of a charge's key: the capture was paid back
    bool refund_acted = false;  ///< of a refund's key
  };

  void send(const Box& box, ports::GatewayRequest request);
  void arrive_at(domain::Instant time, const Box& box, ports::GatewayRequest request,
                 std::optional<domain::Duration> answer_after);
  void answer(const Box& box, std::uint64_t ticket, domain::Outcome outcome,
              domain::Duration after);
  void lose_answer(const Box& box, const ports::GatewayRequest& request);
  domain::Outcome act(const ports::GatewayRequest& request, Key& key, bool sender_is_gone);
  domain::Outcome charge(const ports::GatewayRequest& request, Key& key, bool sender_is_gone);
  domain::Outcome refund(const ports::GatewayRequest& request, Key& key);
  domain::Outcome find(const ports::GatewayRequest& request, Key& key);
  domain::Outcome close(const ports::GatewayRequest& request, Key& key);
  domain::Outcome captured(const ports::GatewayRequest& request, Key& key);
  /// A charge's outcome, after the judge was told of its failure.
  domain::Outcome told(const domain::OrderId& order, domain::Outcome outcome);
  bool same_as_first(const ports::GatewayRequest& request, Key& key);
  bool forgotten(const Key& key) const;
  domain::Duration latency();
  domain::Duration lateness();
  bool in_outage();

  Surroundings& around_;
  const GatewayFaults& faults_;
  RandomStream way_;    ///< what happens on the way
  RandomStream rules_;  ///< what the gateway itself decides
  std::unordered_map<std::string, Key> keys_;
  domain::Duration clock_error_;
  domain::Instant outage_until_;
  domain::Instant next_outage_;
};

}  // namespace penstock::simulation
