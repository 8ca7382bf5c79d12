#include "adapters/gateway_http/gateway_reply.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "net/json.h"

namespace penstock::gateway_http {
namespace {

using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;
using domain::Trouble;

/// Stripe's own ids are at most 255 characters; they are stored in the order.
constexpr std::size_t kMaxReferenceBytes = 255;
constexpr std::size_t kMaxShownTypeBytes = 40;
constexpr net::JsonLimits kLimits{.max_bytes = std::size_t{64} * 1024};

/// The members of an answer that decide.
struct Body {
  std::string object;
  std::string id;
  std::string status;
  std::string error_code;
  bool agrees = true;  ///< repeats nothing else than what was asked
};

/// An error code of the protocol: on which call, with which status, and what it says.
struct CodeRow {
  std::string_view code;
  int status;
  std::optional<EffectKind> only;  ///< nothing: on each call
  OutcomeKind outcome;
};
constexpr CodeRow kCodes[] = {
    {"card_declined", 402, EffectKind::charge, OutcomeKind::refused},
    {"payment_method_invalid", 402, EffectKind::charge, OutcomeKind::refused},
    {"amount_not_accepted", 402, EffectKind::charge, OutcomeKind::refused},
    {"currency_not_accepted", 402, EffectKind::charge, OutcomeKind::refused},
    {"charge_not_refundable", 402, EffectKind::refund, OutcomeKind::refused},
    {"payment_intent_unexpected_state", 400, EffectKind::charge, OutcomeKind::closed},
    {"resource_missing", 404, EffectKind::find_charge, OutcomeKind::not_found},
    {"request_refused", 400, std::nullopt, OutcomeKind::permanent},
    {"parameter_invalid", 400, std::nullopt, OutcomeKind::permanent},
    {"parameter_missing", 400, std::nullopt, OutcomeKind::permanent},
    {"idempotency_key_missing", 400, std::nullopt, OutcomeKind::permanent},
    {"not_processed", 500, std::nullopt, OutcomeKind::transient},
    {"unknown_path", 404, std::nullopt, OutcomeKind::unavailable},
    {"method_not_allowed", 405, std::nullopt, OutcomeKind::unavailable},
};

std::string_view text_of(const net::JsonView& object, std::string_view name) {
  const std::optional<net::JsonView> member = object.find(name);
  return member ? member->as_string().value_or("") : "";
}

bool same_letters(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(left, right, {}, lower, lower);
}

bool agrees(const net::JsonView& object, const Asked& asked) {
  if (const auto amount = object.find("amount")) {
    if (amount->as_int64() != asked.amount.minor_units) return false;
  }
  if (const auto currency = object.find("currency")) {
    if (!same_letters(currency->as_string().value_or(""), asked.amount.currency.code())) {
      return false;
    }
  }
  const auto key = object.find("idempotency_key");
  return !key || asked.kind == EffectKind::refund || key->as_string() == asked.key;
}

/// An answer without a type is read as JSON; one that says that it is something else is not.
bool may_be_json(const net::HttpHeaders& headers) {
  const auto type = headers.find("Content-Type");
  if (!type) return true;
  const std::string_view essence = type->substr(0, type->find(';'));
  const std::string_view trimmed = essence.substr(0, essence.find_last_not_of(" \t") + 1);
  return same_letters(trimmed, "application/json") || trimmed.ends_with("+json");
}

Body read_body(const Asked& asked, const net::HttpReply& reply) {
  if (!may_be_json(reply.headers)) return {};
  const auto document = net::JsonDocument::parse(reply.body, kLimits);
  if (!document || !document->root().is_object()) return {};
  const net::JsonView root = document->root();
  Body body{.object = std::string(text_of(root, "object")),
            .id = std::string(text_of(root, "id")),
            .status = std::string(text_of(root, "status")),
            .error_code = {},
            .agrees = agrees(root, asked)};
  if (const auto error = root.find("error")) {
    body.error_code = text_of(*error, "code");
    // What is both an error and a success is neither.
    if (body.error_code.empty() || !body.status.empty()) return {};
  }
  return body;
}

Outcome told_nothing(const net::HttpReply& reply) {
  std::string detail = "HTTP " + std::to_string(reply.status);
  if (const auto type = reply.headers.find("Content-Type")) {
    detail += ' ';
    detail += type->substr(0, kMaxShownTypeBytes);
  }
  return {OutcomeKind::unknown, {}, Trouble::unreadable, std::move(detail)};
}

std::optional<Outcome> read_success(EffectKind kind, Body body) {
  const bool is_refund = kind == EffectKind::refund;
  if (!body.agrees || body.object != (is_refund ? "refund" : "payment_intent")) return {};
  const bool has_id = !body.id.empty() && body.id.size() <= kMaxReferenceBytes;
  if (body.status == "succeeded" && has_id) return Outcome{OutcomeKind::done, std::move(body.id)};
  const bool asks = kind == EffectKind::find_charge || kind == EffectKind::close_charge;
  if (asks && body.status == "canceled") return Outcome{OutcomeKind::closed, {}};
  const bool declined = body.status == "requires_payment_method";
  if (kind == EffectKind::find_charge && declined) return Outcome{OutcomeKind::refused, {}};
  return {};
}

Outcome not_done(Trouble trouble, int status) {
  return {OutcomeKind::unavailable, {}, trouble, "HTTP " + std::to_string(status)};
}

}  // namespace

Outcome read_reply(const Asked& asked, const net::HttpReply& reply) {
  switch (reply.status) {
    case 401:
    case 403:
    case 407:
      return not_done(Trouble::not_authorized, reply.status);
    case 429:
    case 503:
      return not_done(Trouble::overloaded, reply.status);
    default:
      break;
  }
  Body body = read_body(asked, reply);
  if (reply.status == 200) {
    auto outcome = read_success(asked.kind, std::move(body));
    return outcome ? std::move(*outcome) : told_nothing(reply);
  }
  for (const CodeRow& row : kCodes) {
    if (row.code != body.error_code || row.status != reply.status) continue;
    if (row.only && *row.only != asked.kind) continue;
    if (row.outcome == OutcomeKind::unavailable) {
      return not_done(Trouble::not_authorized, reply.status);
    }
    return {row.outcome, {}, Trouble::none, std::move(body.error_code)};
  }
  return told_nothing(reply);
}

Outcome read_failure(net::HttpClientError error, std::string_view peer) {
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

}  // namespace penstock::gateway_http
