#include "gateway/gateway_wire.h"

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "domain/ids.h"
#include "domain/money.h"
#include "net/json_writer.h"
#include "net/url.h"

namespace penstock::gateway {
namespace {

using domain::EffectKind;
using domain::OutcomeKind;
using ports::GatewayRequest;

constexpr std::string_view kIntents = "/v1/payment_intents";
constexpr std::string_view kRefunds = "/v1/refunds";
constexpr std::string_view kByKey = "/v1/payment_intents/by-key/";
constexpr std::string_view kCancel = "/cancel";
constexpr std::string_view kInvalidRequest = "invalid_request_error";

using Form = std::vector<std::pair<std::string, std::string>>;

std::unexpected<net::HttpResponse> refuse(std::string_view code, std::string_view message) {
  return std::unexpected(
      error_answer({.status = 400, .type = kInvalidRequest, .code = code, .message = message}));
}

std::unexpected<net::HttpResponse> refuse_method() {
  return std::unexpected(error_answer({.status = 405,
                                       .type = kInvalidRequest,
                                       .code = "method_not_allowed",
                                       .message = "the path has no such method"}));
}

std::optional<std::string_view> field(const Form& form, std::string_view name) {
  for (const auto& [key, value] : form) {
    if (key == name) return value;
  }
  return std::nullopt;
}

/// Reads the fields that charge and refund share; false where one has a wrong form.
bool read_amount(const Form& form, GatewayRequest& request) {
  const std::string_view amount = field(form, "amount").value_or("");
  const char* end = amount.data() + amount.size();
  const auto [stopped, error] = std::from_chars(amount.data(), end, request.amount.minor_units);
  if (error != std::errc{} || stopped != end) return false;
  std::string code(field(form, "currency").value_or(""));
  for (char& letter : code) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  }
  const std::optional<domain::Currency> currency = domain::Currency::parse(code);
  const auto order = domain::OrderId::parse(field(form, "metadata[order_id]").value_or(""));
  if (!currency || !order) return false;
  request.amount.currency = *currency;
  request.order = *order;
  return true;
}

std::expected<GatewayRequest, net::HttpResponse> read_movement(const net::HttpRequest& http,
                                                               EffectKind kind) {
  if (http.method != net::HttpMethod::post) return refuse_method();
  const auto key = http.headers.find("Idempotency-Key");
  if (!key || http.headers.count("Idempotency-Key") != 1) {
    return refuse("idempotency_key_missing", "one Idempotency-Key header is needed");
  }
  const std::optional<Form> form = net::parse_query(http.body);
  GatewayRequest request;
  request.kind = kind;
  request.key = *key;
  if (!form || !read_amount(*form, request)) {
    return refuse("parameter_invalid", "amount, currency or metadata[order_id] has a wrong form");
  }
  if (kind == EffectKind::charge) {
    request.method = field(*form, "payment_method").value_or("");
    return request;
  }
  request.reference = field(*form, "payment_intent").value_or("");
  request.charge_key = field(*form, "charge_key").value_or("");
  if (request.reference.empty() && request.charge_key.empty()) {
    return refuse("parameter_missing", "payment_intent or charge_key is needed");
  }
  return request;
}

std::expected<GatewayRequest, net::HttpResponse> read_about_key(const net::HttpRequest& http) {
  std::string_view escaped = http.path().substr(kByKey.size());
  GatewayRequest request;
  request.kind = EffectKind::find_charge;
  net::HttpMethod expected = net::HttpMethod::get;
  if (escaped.ends_with(kCancel)) {
    escaped.remove_suffix(kCancel.size());
    request.kind = EffectKind::close_charge;
    expected = net::HttpMethod::post;
  }
  if (http.method != expected) return refuse_method();
  std::optional<std::string> key = net::percent_decode(escaped);
  if (!key) return refuse("parameter_invalid", "the key in the path is not percent-encoded");
  request.key = std::move(*key);
  return request;
}

net::HttpResponse json_answer(int status, std::string body) {
  net::HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(body);
  return response;
}

net::HttpResponse intent_answer(std::string_view id, std::string_view status) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object();
  if (!id.empty()) writer.member("id", id);
  writer.member("object", "payment_intent").member("status", status).end_object();
  return json_answer(200, std::move(body));
}

net::HttpResponse refund_answer(std::string_view id) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object()
      .member("id", id)
      .member("object", "refund")
      .member("status", "succeeded")
      .end_object();
  return json_answer(200, std::move(body));
}

net::HttpResponse refused_answer(EffectKind kind, std::string_view code) {
  switch (kind) {
    case EffectKind::find_charge:
      return intent_answer("", "requires_payment_method");
    case EffectKind::refund:
      return error_answer({.status = 402,
                           .type = kInvalidRequest,
                           .code = "charge_not_refundable",
                           .message = "nothing captured is left to pay back for this"});
    default:
      if (code == "payment_method_invalid") {
        return error_answer({.status = 402,
                             .type = kInvalidRequest,
                             .code = code,
                             .message = "the payment method is not known"});
      }
      return error_answer({.status = 402,
                           .type = "card_error",
                           .code = "card_declined",
                           .message = "the means of payment was declined"});
  }
}

}  // namespace

net::HttpResponse error_answer(const WireError& error) {
  std::string body;
  net::JsonWriter(body)
      .begin_object()
      .key("error")
      .begin_object()
      .member("type", error.type)
      .member("code", error.code)
      .member("message", error.message)
      .end_object()
      .end_object();
  return json_answer(error.status, std::move(body));
}

std::expected<GatewayRequest, net::HttpResponse> read_request(const net::HttpRequest& request) {
  const std::string_view path = request.path();
  if (path == kIntents) return read_movement(request, EffectKind::charge);
  if (path == kRefunds) return read_movement(request, EffectKind::refund);
  if (path.starts_with(kByKey)) return read_about_key(request);
  return std::unexpected(error_answer({.status = 404,
                                       .type = kInvalidRequest,
                                       .code = "unknown_path",
                                       .message = "there is nothing here"}));
}

net::HttpResponse answer_for(const GatewayRequest& request, const domain::Outcome& outcome) {
  switch (outcome.kind) {
    case OutcomeKind::done:
      if (request.kind == EffectKind::refund) return refund_answer(outcome.reference);
      return intent_answer(outcome.reference, "succeeded");
    case OutcomeKind::refused:
      return refused_answer(request.kind, outcome.detail);
    case OutcomeKind::closed:
      if (request.kind != EffectKind::charge) return intent_answer("", "canceled");
      return error_answer({.status = 400,
                           .type = kInvalidRequest,
                           .code = "payment_intent_unexpected_state",
                           .message = "the key was cancelled"});
    case OutcomeKind::not_found:
      return error_answer({.status = 404,
                           .type = kInvalidRequest,
                           .code = "resource_missing",
                           .message = "nothing was done under the key so far"});
    case OutcomeKind::transient:
      return error_answer({.status = 500,
                           .type = "api_error",
                           .code = "not_processed",
                           .message = "nothing was done; the same request may succeed later"});
    case OutcomeKind::permanent:
      return error_answer(
          {.status = 400,
           .type = kInvalidRequest,
           .code = "request_refused",
           .message = "the key was used otherwise, or a parameter is not accepted"});
    case OutcomeKind::unavailable:
    case OutcomeKind::unknown:
      break;
  }
  return error_answer({.status = 503,
                       .type = "api_error",
                       .code = "overloaded",
                       .message = "nothing was done; come back later"});
}

}  // namespace penstock::gateway
