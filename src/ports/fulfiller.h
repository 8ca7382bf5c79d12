#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "domain/order.h"
#include "domain/saga.h"

namespace penstock::ports {

/// A keyed call to whoever hands the goods over: fulfill, find_fulfillment, close_fulfillment.
struct FulfillmentRequest {
  std::uint64_t ticket = 0;
  domain::EffectKind kind = domain::EffectKind::fulfill;
  std::string key;
  domain::Order order;
};

struct FulfillmentReply {
  std::uint64_t ticket = 0;
  domain::Outcome outcome;  ///< done = accepted
};

/// Asynchronous and keyed, as PaymentGateway: one reply a request, unknown is never failed, close
/// makes every later fulfill under that key fail. One thread calls submit and poll.
class Fulfiller {
 public:
  virtual ~Fulfiller() = default;
  virtual void submit(std::span<FulfillmentRequest> requests) = 0;
  virtual void poll(std::vector<FulfillmentReply>& replies) = 0;
};

}  // namespace penstock::ports
