#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/money.h"
#include "domain/saga.h"

namespace penstock::ports {

/// A keyed call to the payment gateway: charge, refund, find_charge or close_charge.
struct GatewayRequest {
  std::uint64_t ticket = 0;  ///< the caller's, comes back with the reply
  domain::EffectKind kind = domain::EffectKind::charge;
  std::string key;         ///< idempotency key of this effect; find and close: of the charge
  std::string charge_key;  ///< refund: the key of the charge it pays back
  std::string reference;   ///< refund: the capture's reference
  domain::OrderId order;
  domain::Money amount;
  std::string method;  ///< the gateway's token of the means of payment
  domain::CorrelationId correlation;
  std::string traceparent;
};

struct GatewayReply {
  std::uint64_t ticket = 0;
  domain::Outcome outcome;
};

/// charge, refund, find and close, asynchronously. Every submitted request gets exactly one reply,
/// in any order; a timeout or a dropped connection is `unknown`, a request that certainly never
/// left is `unavailable`. Under one key the same request acts at most once and gets the same
/// answer. close answers `done` (captured) or `closed`, after which every charge under that key
/// fails, also one that arrives late. One thread calls submit and poll.
class PaymentGateway {
 public:
  virtual ~PaymentGateway() = default;

  virtual void submit(std::span<GatewayRequest> requests, domain::Now now) = 0;

  /// Appends the replies that have arrived.
  virtual void poll(std::vector<GatewayReply>& replies, domain::Now now) = 0;

  /// When poll has something to do even if nobody wakes the caller.
  virtual std::optional<domain::Instant> next_due() const = 0;
};

}  // namespace penstock::ports
