#include "adapters/gateway_http/http_gateway.h"

#include <iterator>
#include <mutex>
#include <string_view>
#include <utility>

#include "adapters/gateway_http/gateway_reply.h"
#include "net/http_client.h"

namespace penstock::gateway_http {
namespace {

using domain::EffectKind;
using domain::OutcomeKind;
using ports::GatewayReply;
using ports::GatewayRequest;

constexpr std::string_view kIntents = "/v1/payment_intents";
constexpr std::string_view kRefunds = "/v1/refunds";
constexpr std::string_view kByKey = "/v1/payment_intents/by-key/";
constexpr std::string_view kCancel = "/cancel";
/// The protocol's answers are a few hundred bytes.
constexpr std::size_t kMaxReplyBytes = std::size_t{64} * 1024;

void append_field(std::string_view name, std::string_view value, std::string& form) {
  if (!form.empty()) form += '&';
  form += name;
  form += '=';
  form += net::percent_encode(value);
}

std::string form_of(const GatewayRequest& request) {
  std::string form;
  append_field("amount", std::to_string(request.amount.minor_units), form);
  append_field("currency", request.amount.currency.code(), form);
  append_field("metadata%5Border_id%5D", request.order.str(), form);
  if (request.kind == EffectKind::charge) {
    append_field("payment_method", request.method, form);
    append_field("confirm", "true", form);
    return form;
  }
  if (!request.reference.empty()) append_field("payment_intent", request.reference, form);
  if (!request.charge_key.empty()) append_field("charge_key", request.charge_key, form);
  return form;
}

/// Path, method and body by kind; nothing for a kind that is no gateway's.
std::optional<net::HttpClientRequest> message_for(const GatewayRequest& request,
                                                  const std::string& base) {
  net::HttpClientRequest message;
  message.url = base;
  switch (request.kind) {
    case EffectKind::charge:
    case EffectKind::refund:
      message.url += request.kind == EffectKind::charge ? kIntents : kRefunds;
      message.method = net::HttpMethod::post;
      message.headers.push_back({"Idempotency-Key", request.key});
      message.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
      message.body = form_of(request);
      break;
    case EffectKind::find_charge:
      message.url += kByKey;
      message.url += net::percent_encode(request.key);
      break;
    case EffectKind::close_charge:
      message.url += kByKey;
      message.url += net::percent_encode(request.key);
      message.url += kCancel;
      message.method = net::HttpMethod::post;
      break;
    default:
      return std::nullopt;
  }
  if (!request.correlation.empty()) {
    message.headers.push_back({"X-Correlation-Id", request.correlation.str()});
  }
  if (!request.traceparent.empty()) {
    message.headers.push_back({"traceparent", request.traceparent});
  }
  return message;
}

net::HttpClientOptions client_options(const HttpGatewayOptions& options) {
  net::HttpClientOptions client;
  client.max_connections = options.max_in_flight;
  client.max_queued = options.max_in_flight;
  client.reply_body_bytes = kMaxReplyBytes;
  client.ca_file = options.ca_file;
  return client;
}

}  // namespace

struct HttpGateway::Impl {
  Impl(HttpGatewayOptions given, std::string base_url, const net::Url& url)
      : options(std::move(given)),
        base(std::move(base_url)),
        peer(url.authority()),
        client(client_options(options)) {}

  /// On any thread.
  void complete(GatewayReply reply) {
    bool was_empty = false;
    {
      const std::scoped_lock lock(mutex);
      was_empty = arrived.empty();
      arrived.push_back(std::move(reply));
    }
    if (was_empty && options.wake) options.wake();
  }

  void send(net::HttpClientRequest& message, const GatewayRequest& request) {
    message.timeout = options.timeout;
    client.send(message, [this, ticket = request.ticket,
                          asked = Asked{request.kind, request.amount, request.key}](
                             const net::HttpClientResult& result) {
      complete({ticket, result ? read_reply(asked, *result) : read_failure(result.error(), peer)});
    });
  }

  HttpGatewayOptions options;
  std::string base;
  std::string peer;  ///< for people
  std::size_t in_flight = 0;
  std::mutex mutex;
  std::vector<GatewayReply> arrived;  // under mutex
  std::vector<GatewayReply> taken;
  // Last, so that its threads end before what its callbacks use.
  net::HttpClient client;
};

std::expected<std::unique_ptr<HttpGateway>, net::UrlError> HttpGateway::open(
    HttpGatewayOptions options) {
  const auto url = net::parse_url(options.url);
  if (!url) return std::unexpected(url.error());
  if (url->target.contains('?')) return std::unexpected(net::UrlError::invalid_target);
  std::string base = options.url;
  while (base.ends_with('/')) base.pop_back();
  auto impl = std::make_unique<Impl>(std::move(options), std::move(base), *url);
  return std::unique_ptr<HttpGateway>(new HttpGateway(std::move(impl)));
}

HttpGateway::HttpGateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpGateway::~HttpGateway() = default;

void HttpGateway::submit(std::span<GatewayRequest> requests, domain::Now) {
  for (const GatewayRequest& request : requests) {
    const bool has_room = impl_->in_flight < impl_->options.max_in_flight;
    ++impl_->in_flight;
    if (!has_room) {
      impl_->complete({request.ticket,
                       {OutcomeKind::unavailable,
                        {},
                        domain::Trouble::overloaded,
                        "every connection is in use"}});
      continue;
    }
    if (auto message = message_for(request, impl_->base)) {
      impl_->send(*message, request);
    } else {
      impl_->complete({request.ticket, {OutcomeKind::permanent, {}}});
    }
  }
}

void HttpGateway::poll(std::vector<GatewayReply>& replies, domain::Now) {
  impl_->taken.clear();
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->taken.swap(impl_->arrived);
  }
  impl_->in_flight -= impl_->taken.size();
  std::move(impl_->taken.begin(), impl_->taken.end(), std::back_inserter(replies));
}

std::optional<domain::Instant> HttpGateway::next_due() const {
  return std::nullopt;
}

}  // namespace penstock::gateway_http
