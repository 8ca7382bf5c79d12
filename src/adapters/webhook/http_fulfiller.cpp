#include "adapters/webhook/http_fulfiller.h"

#include <optional>
#include <string>
#include <utility>

#include "adapters/webhook/completed_replies.h"
#include "adapters/webhook/fulfiller_reply.h"
#include "adapters/webhook/order_json.h"
#include "net/url.h"

namespace penstock::webhook {
namespace {

using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;
using ports::FulfillmentReply;
using ports::FulfillmentRequest;

constexpr std::size_t kMaxReplyBytes = std::size_t{64} * 1024;

/// Path, method and body by kind; nothing for a kind that is no fulfiller's.
std::optional<net::HttpClientRequest> message_for(const FulfillmentRequest& request,
                                                  const std::string& url) {
  net::HttpClientRequest message;
  message.url = url;
  switch (request.kind) {
    case EffectKind::fulfill:
      message.method = net::HttpMethod::post;
      message.headers = {{"Idempotency-Key", request.key}, {"Content-Type", "application/json"}};
      append_order(request.order, message.body);
      break;
    case EffectKind::find_fulfillment:
    case EffectKind::close_fulfillment:
      message.method = request.kind == EffectKind::find_fulfillment ? net::HttpMethod::get
                                                                    : net::HttpMethod::delete_;
      message.url += url.contains('?') ? "&key=" : "?key=";
      message.url += net::percent_encode(request.key);
      break;
    default:
      return std::nullopt;
  }
  if (!request.order.correlation.empty()) {
    message.headers.push_back({"X-Correlation-Id", request.order.correlation.str()});
  }
  if (!request.order.traceparent.empty()) {
    message.headers.push_back({"traceparent", request.order.traceparent});
  }
  return message;
}

net::HttpClientOptions client_options(const HttpFulfillerOptions& options) {
  net::HttpClientOptions client;
  client.max_connections = options.max_in_flight;
  client.max_queued = options.max_in_flight;
  client.reply_body_bytes = kMaxReplyBytes;
  client.ca_file = options.ca_file;
  return client;
}

}  // namespace

struct HttpFulfiller::Impl {
  Impl(HttpFulfillerOptions given, const net::Url& url)
      : options(std::move(given)),
        peer(url.authority()),
        replies(options.wake),
        client(client_options(options)) {}

  HttpFulfillerOptions options;
  std::string peer;  ///< for people
  CompletedReplies<FulfillmentReply> replies;
  std::size_t in_flight = 0;
  // Last, so that its threads end before what its callbacks use.
  net::HttpClient client;
};

std::expected<std::unique_ptr<HttpFulfiller>, net::UrlError> HttpFulfiller::open(
    HttpFulfillerOptions options) {
  const auto url = net::parse_url(options.url);
  if (!url) return std::unexpected(url.error());
  return std::unique_ptr<HttpFulfiller>(
      new HttpFulfiller(std::make_unique<Impl>(std::move(options), *url)));
}

HttpFulfiller::HttpFulfiller(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpFulfiller::~HttpFulfiller() = default;

void HttpFulfiller::submit(std::span<FulfillmentRequest> requests) {
  Impl* impl = impl_.get();
  for (const FulfillmentRequest& request : requests) {
    const bool has_room = impl->in_flight < impl->options.max_in_flight;
    ++impl->in_flight;
    auto message = has_room ? message_for(request, impl->options.url) : std::nullopt;
    if (!message) {
      Outcome outcome{OutcomeKind::permanent, {}};
      if (!has_room) {
        outcome = {OutcomeKind::unavailable,
                   {},
                   domain::Trouble::overloaded,
                   "every connection is in use"};
      }
      impl->replies.add({request.ticket, std::move(outcome)});
      continue;
    }
    message->timeout = impl->options.timeout;
    impl->client.send(*message, [impl, ticket = request.ticket,
                                 kind = request.kind](const net::HttpClientResult& result) {
      impl->replies.add({ticket, result ? read_fulfillment(kind, *result)
                                        : read_no_fulfillment(result.error(), impl->peer)});
    });
  }
}

void HttpFulfiller::poll(std::vector<FulfillmentReply>& replies) {
  impl_->in_flight -= impl_->replies.take(replies);
}

}  // namespace penstock::webhook
