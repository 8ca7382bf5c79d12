#include "adapters/webhook/http_fulfiller.h"

#include <optional>
#include <string_view>
#include <utility>

#include "adapters/webhook/completed_replies.h"
#include "adapters/webhook/order_json.h"
#include "net/json.h"

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

/// The "state" member of an answer to find or close.
OutcomeKind read_state(EffectKind kind, std::string_view body) {
  const auto document = net::JsonDocument::parse(body, {.max_bytes = kMaxReplyBytes});
  const auto member = document ? document->root().find("state") : std::nullopt;
  const std::string_view state = member ? member->as_string().value_or("") : "";
  if (state == "accepted") return OutcomeKind::done;
  if (state == "closed") return OutcomeKind::closed;
  if (state == "refused" && kind == EffectKind::find_fulfillment) return OutcomeKind::refused;
  return OutcomeKind::unknown;
}

OutcomeKind read_status(EffectKind kind, int status) {
  const bool is_fulfill = kind == EffectKind::fulfill;
  switch (status) {
    case 401:
    case 403:
    case 429:
    case 503:
      return OutcomeKind::unavailable;
    case 408:
    case 502:
    case 504:
      return OutcomeKind::unknown;
    case 404:
      return kind == EffectKind::find_fulfillment ? OutcomeKind::not_found : OutcomeKind::permanent;
    case 409:
    case 422:
      return is_fulfill ? OutcomeKind::refused : OutcomeKind::permanent;
    case 410:
      return is_fulfill ? OutcomeKind::closed : OutcomeKind::permanent;
    default:
      break;
  }
  if (status >= 500) return OutcomeKind::transient;
  return status >= 400 ? OutcomeKind::permanent : OutcomeKind::unknown;
}

Outcome outcome_of(EffectKind kind, const net::HttpClientResult& result) {
  if (!result) {
    if (result.error() == net::HttpClientError::invalid_request) {
      return {OutcomeKind::permanent, {}};
    }
    const bool certainly_not = net::delivery(result.error()) == net::Delivery::not_sent;
    return {certainly_not ? OutcomeKind::unavailable : OutcomeKind::unknown, {}};
  }
  if (result->status >= 200 && result->status < 300) {
    if (kind == EffectKind::fulfill) return {OutcomeKind::done, {}};
    return {read_state(kind, result->body), {}};
  }
  return {read_status(kind, result->status), {}};
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
  explicit Impl(HttpFulfillerOptions given)
      : options(std::move(given)), replies(options.wake), client(client_options(options)) {}

  HttpFulfillerOptions options;
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
      new HttpFulfiller(std::make_unique<Impl>(std::move(options))));
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
      const OutcomeKind kind = has_room ? OutcomeKind::permanent : OutcomeKind::unavailable;
      impl->replies.add({request.ticket, {kind, {}}});
      continue;
    }
    message->timeout = impl->options.timeout;
    impl->client.send(*message, [impl, ticket = request.ticket,
                                 kind = request.kind](const net::HttpClientResult& result) {
      impl->replies.add({ticket, outcome_of(kind, result)});
    });
  }
}

void HttpFulfiller::poll(std::vector<FulfillmentReply>& replies) {
  impl_->in_flight -= impl_->replies.take(replies);
}

}  // namespace penstock::webhook
