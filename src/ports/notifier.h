#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "domain/contract.h"
#include "domain/instant.h"
#include "domain/order.h"

namespace penstock::ports {

/// One attempt to deliver a terminal order's event to its tenant's endpoint.
struct NotificationRequest {
  std::uint64_t ticket = 0;
  domain::Webhook webhook;
  domain::Order order;
  std::int32_t attempt = 1;
  domain::Instant now;  ///< becomes the webhook-timestamp
};

enum class NotificationOutcome : std::uint8_t {
  delivered,  ///< a 2xx
  failed,     ///< anything else, timeouts and blocked addresses included
  gone,       ///< 410: the endpoint wants no more
};

struct NotificationReply {
  std::uint64_t ticket = 0;
  NotificationOutcome outcome = NotificationOutcome::failed;
  std::string
      detail{};  ///< for the log: the status, or why there is none; nothing of the receiver's
};

/// Asynchronous; one reply a request. The event's id is the same over all attempts. One thread
/// calls submit and poll.
class Notifier {
 public:
  virtual ~Notifier() = default;
  virtual void submit(std::span<NotificationRequest> requests) = 0;
  virtual void poll(std::vector<NotificationReply>& replies) = 0;
};

}  // namespace penstock::ports
