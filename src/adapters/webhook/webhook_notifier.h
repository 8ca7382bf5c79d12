#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "domain/limits.h"
#include "ports/notifier.h"

namespace penstock::webhook {

enum class Reach : std::uint8_t {
  public_only,  ///< addresses that are not public unicast are refused after name resolution
  any,          ///< for receivers in one's own network
};

struct WebhookNotifierOptions {
  Reach reach = Reach::public_only;
  std::chrono::milliseconds timeout{15'000};
  std::size_t max_in_flight = domain::limits::kMaxDeliveriesInFlight;
  std::string ca_file{};  ///< PEM of trusted authorities; empty: the system's
  /// Called, from another thread, when poll has something new to take. Must neither block nor
  /// throw; may be empty.
  std::function<void()> wake{};
};

/// Delivers terminal orders after the Standard Webhooks specification (version 1.0.0): POST with
/// webhook-id (the same over all attempts), webhook-timestamp (of this attempt) and
/// webhook-signature; the body is {"type":"order.<status>","timestamp","data":{"order"}} and the
/// same over all attempts. A 2xx is delivered, 410 (or a disabled webhook) is gone, all else has
/// failed: redirects, refused addresses, timeouts, and requests beyond max_in_flight. Correlation
/// id and traceparent are passed on as headers. Nothing is retried here. submit and poll: one
/// thread.
class WebhookNotifier final : public ports::Notifier {
 public:
  explicit WebhookNotifier(WebhookNotifierOptions options);
  WebhookNotifier(const WebhookNotifier&) = delete;
  WebhookNotifier& operator=(const WebhookNotifier&) = delete;
  /// Drops what is in flight: no reply comes for it.
  ~WebhookNotifier() override;

  void submit(std::span<ports::NotificationRequest> requests) override;
  void poll(std::vector<ports::NotificationReply>& replies) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The webhook-id of an order's terminal event: "evt_<order id>".
std::string event_id(const domain::OrderId& order);

}  // namespace penstock::webhook
