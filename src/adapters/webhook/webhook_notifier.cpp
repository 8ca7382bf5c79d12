#include "adapters/webhook/webhook_notifier.h"

#include <utility>

#include "adapters/webhook/completed_replies.h"
#include "adapters/webhook/order_json.h"
#include "adapters/webhook/webhook_signature.h"
#include "net/address_policy.h"
#include "net/http_client.h"
#include "net/json_writer.h"

namespace penstock::webhook {
namespace {

using ports::NotificationOutcome;
using ports::NotificationReply;
using ports::NotificationRequest;

/// A receiver's answer is not looked at beyond its status.
constexpr std::size_t kMaxReplyBytes = std::size_t{16} * 1024;

std::string body_for(const domain::Order& order) {
  std::string type = "order.";
  type += to_string(order.status);
  std::string described;
  append_order(order, described);
  std::string body;
  net::JsonWriter(body)
      .begin_object()
      .member("type", type)
      .member("timestamp", domain::to_rfc3339(order.updated_at))
      .key("data")
      .begin_object()
      .key("order")
      .raw(described)
      .end_object()
      .end_object();
  return body;
}

net::HttpClientRequest message_for(const NotificationRequest& request) {
  net::HttpClientRequest message;
  message.url = request.webhook.url;
  message.method = net::HttpMethod::post;
  message.body = body_for(request.order);
  const std::string id = event_id(request.order.id);
  const std::int64_t timestamp_s = request.now.us / 1'000'000;
  message.headers = {
      {"Content-Type", "application/json"},
      {"webhook-id", id},
      {"webhook-timestamp", std::to_string(timestamp_s)},
      {"webhook-signature",
       sign(request.webhook.secret, {.id = id, .timestamp_s = timestamp_s, .body = message.body})},
  };
  if (!request.order.correlation.empty()) {
    message.headers.push_back({"X-Correlation-Id", request.order.correlation.str()});
  }
  if (!request.order.traceparent.empty()) {
    message.headers.push_back({"traceparent", request.order.traceparent});
  }
  return message;
}

NotificationOutcome outcome_of(const net::HttpClientResult& result) {
  if (!result) {
    // Its status was a 2xx or not; an answer that cannot be read whole is no acknowledgement.
    return NotificationOutcome::failed;
  }
  if (result->status >= 200 && result->status < 300) return NotificationOutcome::delivered;
  return result->status == 410 ? NotificationOutcome::gone : NotificationOutcome::failed;
}

/// What came of it, for the log.
std::string detail_of(const net::HttpClientResult& result) {
  if (!result) return std::string(net::to_string(result.error()));
  return "HTTP status " + std::to_string(result->status);
}

net::HttpClientOptions client_options(const WebhookNotifierOptions& options) {
  net::HttpClientOptions client;
  client.max_connections = options.max_in_flight;
  client.max_queued = options.max_in_flight;
  client.reply_body_bytes = kMaxReplyBytes;
  client.ca_file = options.ca_file;
  client.user_agent = "penstock-webhook";
  if (options.reach == Reach::public_only) client.allow_address = net::is_public_unicast;
  return client;
}

}  // namespace

struct WebhookNotifier::Impl {
  explicit Impl(WebhookNotifierOptions given)
      : options(std::move(given)), replies(options.wake), client(client_options(options)) {}

  WebhookNotifierOptions options;
  CompletedReplies<NotificationReply> replies;
  std::size_t in_flight = 0;
  // Last, so that its threads end before what its callbacks use.
  net::HttpClient client;
};

WebhookNotifier::WebhookNotifier(WebhookNotifierOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

WebhookNotifier::~WebhookNotifier() = default;

void WebhookNotifier::submit(std::span<NotificationRequest> requests) {
  Impl* impl = impl_.get();
  for (const NotificationRequest& request : requests) {
    const bool has_room = impl->in_flight < impl->options.max_in_flight;
    ++impl->in_flight;
    if (request.webhook.disabled || !has_room) {
      const NotificationOutcome outcome =
          request.webhook.disabled ? NotificationOutcome::gone : NotificationOutcome::failed;
      impl->replies.add({request.ticket, outcome, has_room ? "" : "too many in flight"});
      continue;
    }
    net::HttpClientRequest message = message_for(request);
    message.timeout = impl->options.timeout;
    message.reply_body = net::ReplyBody::optional;
    impl->client.send(message,
                      [impl, ticket = request.ticket](const net::HttpClientResult& result) {
                        impl->replies.add({ticket, outcome_of(result), detail_of(result)});
                      });
  }
}

void WebhookNotifier::poll(std::vector<NotificationReply>& replies) {
  impl_->in_flight -= impl_->replies.take(replies);
}

std::string event_id(const domain::OrderId& order) {
  return "evt_" + order.str();
}

}  // namespace penstock::webhook
