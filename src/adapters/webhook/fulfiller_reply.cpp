#include "adapters/webhook/fulfiller_reply.h"

#include <optional>
#include <string>
#include <utility>

#include "net/json.h"

namespace penstock::webhook {
namespace {

using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;
using domain::Trouble;

constexpr net::JsonLimits kLimits{.max_bytes = std::size_t{64} * 1024};
constexpr std::size_t kMaxShownTypeBytes = 40;

/// What the body says, as far as it is one of the hook's.
struct Body {
  bool is_empty = false;
  bool is_object = false;  ///< a JSON object
  bool has_error = false;
  bool has_state = false;
  std::string state;

  /// The status is the hook's own word.
  bool may_be_the_hooks() const { return is_empty || is_object; }
};

Body read_body(std::string_view text) {
  Body body{.is_empty = text.empty(), .state = {}};
  const auto document = net::JsonDocument::parse(text, kLimits);
  if (!document || !document->root().is_object()) return body;
  body.is_object = true;
  const auto error = document->root().find("error");
  body.has_error = error && !error->is_null();
  const auto state = document->root().find("state");
  body.has_state = state.has_value();
  if (state) body.state = state->as_string().value_or("");
  return body;
}

/// The "state" member, as an answer to find or close, or with a fulfillment that has one.
OutcomeKind read_state(EffectKind kind, std::string_view state) {
  if (state == "accepted") return OutcomeKind::done;
  if (state == "closed") return OutcomeKind::closed;
  if (state == "refused" && kind != EffectKind::close_fulfillment) return OutcomeKind::refused;
  return OutcomeKind::unknown;
}

OutcomeKind read_success(EffectKind kind, const Body& body) {
  if (body.has_error || !body.may_be_the_hooks()) return OutcomeKind::unknown;
  if (kind == EffectKind::fulfill && !body.has_state) return OutcomeKind::done;
  return read_state(kind, body.state);
}

OutcomeKind read_refusal(EffectKind kind, int status, const Body& body) {
  if (!body.may_be_the_hooks()) return OutcomeKind::unknown;
  const bool is_fulfill = kind == EffectKind::fulfill;
  switch (status) {
    case 408:
    case 502:
    case 504:
      return OutcomeKind::unknown;
    case 404:
      if (kind == EffectKind::find_fulfillment) return OutcomeKind::not_found;
      break;
    case 409:
    case 422:
      if (is_fulfill) return OutcomeKind::refused;
      break;
    case 410:
      if (is_fulfill) return OutcomeKind::closed;
      break;
    default:
      break;
  }
  if (status >= 500) return OutcomeKind::transient;
  // It takes money back: only an answer that says that it is one.
  return status >= 400 && body.has_error ? OutcomeKind::permanent : OutcomeKind::unknown;
}

std::string shown(const net::HttpReply& reply) {
  std::string text = "HTTP " + std::to_string(reply.status);
  if (const auto type = reply.headers.find("Content-Type")) {
    text += ' ';
    text += type->substr(0, kMaxShownTypeBytes);
  }
  return text;
}

}  // namespace

Outcome read_fulfillment(EffectKind kind, const net::HttpReply& reply) {
  switch (reply.status) {
    case 401:
    case 403:
    case 407:
      return {OutcomeKind::unavailable, {}, Trouble::not_authorized, shown(reply)};
    case 429:
    case 503:
      return {OutcomeKind::unavailable, {}, Trouble::overloaded, shown(reply)};
    default:
      break;
  }
  const Body body = read_body(reply.body);
  const bool is_success = reply.status >= 200 && reply.status < 300;
  const OutcomeKind outcome =
      is_success ? read_success(kind, body) : read_refusal(kind, reply.status, body);
  if (outcome != OutcomeKind::unknown) return {outcome, {}};
  return {outcome, {}, Trouble::unreadable, shown(reply)};
}

Outcome read_no_fulfillment(net::HttpClientError error, std::string_view peer) {
  std::string detail(net::in_words(error));
  detail += ": ";
  detail += peer;
  if (error == net::HttpClientError::invalid_request) {
    return {OutcomeKind::permanent, {}, Trouble::none, std::move(detail)};
  }
  if (error == net::HttpClientError::overloaded) {
    return {OutcomeKind::unavailable, {}, Trouble::overloaded, std::move(detail)};
  }
  const bool certainly_not = net::delivery(error) == net::Delivery::not_sent;
  if (certainly_not) {
    return {OutcomeKind::unavailable, {}, Trouble::unreachable, std::move(detail)};
  }
  return {OutcomeKind::unknown, {}, Trouble::no_answer, std::move(detail)};
}

}  // namespace penstock::webhook
