#include "adapters/gateway_http/gateway_reply.h"

#include <optional>
#include <string>
#include <string_view>

#include "net/json.h"

namespace penstock::gateway_http {
namespace {

using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;

/// Stripe's own ids are at most 255 characters; they are stored in the order.
constexpr std::size_t kMaxReferenceBytes = 255;
constexpr net::JsonLimits kLimits{.max_bytes = std::size_t{64} * 1024};

/// The members of an answer that decide.
struct Body {
  std::string id;
  std::string status;
  std::string error_code;
};

std::string text_of(const net::JsonView& object, std::string_view name) {
  const std::optional<net::JsonView> member = object.find(name);
  return std::string(member ? member->as_string().value_or("") : "");
}

Body read_body(std::string_view text) {
  const auto document = net::JsonDocument::parse(text, kLimits);
  if (!document) return {};
  Body body{.id = text_of(document->root(), "id"),
            .status = text_of(document->root(), "status"),
            .error_code = {}};
  if (const auto error = document->root().find("error")) body.error_code = text_of(*error, "code");
  return body;
}

Outcome read_success(EffectKind kind, Body body) {
  const bool is_refund = kind == EffectKind::refund;
  const bool has_id = !body.id.empty() && body.id.size() <= kMaxReferenceBytes;
  if (body.status == "succeeded" && has_id) return {OutcomeKind::done, std::move(body.id)};
  if (is_refund && body.status == "failed") return {OutcomeKind::refused, {}};
  if (!is_refund && body.status == "canceled") return {OutcomeKind::closed, {}};
  if (!is_refund && body.status == "requires_payment_method") return {OutcomeKind::refused, {}};
  return {OutcomeKind::unknown, {}};
}

OutcomeKind read_client_error(EffectKind kind, int status, const Body& body) {
  switch (status) {
    case 401:
    case 403:
    case 407:
    case 429:
      return OutcomeKind::unavailable;
    case 402:
      return OutcomeKind::refused;
    case 408:
    case 409:  // another request under the key is under way
      return OutcomeKind::unknown;
    default:
      break;
  }
  if (kind == EffectKind::charge && body.error_code == "payment_intent_unexpected_state") {
    return OutcomeKind::closed;
  }
  const bool is_missing = status == 404 && body.error_code == "resource_missing";
  if (kind == EffectKind::find_charge && is_missing) return OutcomeKind::not_found;
  return OutcomeKind::permanent;
}

}  // namespace

Outcome read_reply(EffectKind kind, const net::HttpReply& reply) {
  if (reply.status == 503) return {OutcomeKind::unavailable, {}};
  Body body = read_body(reply.body);
  if (reply.status >= 200 && reply.status < 300) return read_success(kind, std::move(body));
  if (reply.status >= 400 && reply.status < 500) {
    return {read_client_error(kind, reply.status, body), {}};
  }
  if (reply.status >= 500 && body.error_code == "not_processed") {
    return {OutcomeKind::transient, {}};
  }
  return {OutcomeKind::unknown, {}};
}

Outcome read_failure(net::HttpClientError error) {
  if (error == net::HttpClientError::invalid_request) return {OutcomeKind::permanent, {}};
  const bool certainly_not = net::delivery(error) == net::Delivery::not_sent;
  return {certainly_not ? OutcomeKind::unavailable : OutcomeKind::unknown, {}};
}

}  // namespace penstock::gateway_http
