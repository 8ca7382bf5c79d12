// The order of a request, from its JSON to the order that is placed: what is accepted obeys every
// limit, its amounts are exactly those that were written, its fingerprint depends on its meaning
// alone; what is refused says so in a well-formed answer.

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/caller.h"
#include "api/idempotency.h"
#include "api/order_json.h"
#include "api/placed_answer.h"
#include "api/submission.h"
#include "domain/int128.h"
#include "domain/limits.h"
#include "domain/saga.h"
#include "net/json.h"
#include "net/json_canonical.h"
#include "net/json_decimal.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using penstock::domain::Order;
using penstock::net::JsonDocument;
using penstock::net::JsonView;
namespace api = penstock::api;
namespace domain = penstock::domain;
namespace limits = penstock::domain::limits;
namespace net = penstock::net;

constexpr net::JsonLimits kJsonLimits = {.max_bytes = limits::kMaxBodyBytes,
                                         .max_depth = limits::kMaxJsonDepth};

/// The amount that a JSON number or string names, by another way than the order's own.
std::optional<std::int64_t> exact_minor_units(std::string_view text, int minor_digits) {
  const auto decimal = net::parse_decimal(text);
  if (!decimal) return std::nullopt;
  if (decimal->digits.empty()) return 0;
  const std::int64_t shift = decimal->exponent + minor_digits;
  if (decimal->negative || shift < 0 || shift > 18) return std::nullopt;
  domain::Int128 value = 0;
  for (const char digit : decimal->digits) {
    value = value * 10 + (digit - '0');
    if (value > limits::kMaxAmountMinor) return std::nullopt;
  }
  for (std::int64_t i = 0; i < shift; ++i) {
    value *= 10;
    if (value > limits::kMaxAmountMinor) return std::nullopt;
  }
  return static_cast<std::int64_t>(value);
}

std::string_view text_of(JsonView object, std::string_view name) {
  const auto member = object.find(name);
  return member ? member->as_string().value_or("") : "";
}

void check_items(const Order& order, JsonView body) {
  const auto items = body.find("items");
  FUZZ_CHECK(items && items->size() == order.items.size(), "every item is there");
  FUZZ_CHECK(!order.items.empty() && order.items.size() <= limits::kMaxItemsPerOrder,
             "the number of items is within its limit");
  domain::Int128 total = 0;
  std::size_t index = 0;
  for (const JsonView sent : items->items()) {
    const domain::Item& item = order.items[index++];
    FUZZ_CHECK(domain::is_valid_name(item.product.str()), "a product has a name's form");
    FUZZ_CHECK(item.product.str() == text_of(sent, "product_id"), "the product is what was sent");
    FUZZ_CHECK(item.quantity >= 1 && item.quantity <= limits::kMaxQuantity, "quantity's limits");
    FUZZ_CHECK(sent.find("quantity")->as_int64() == item.quantity, "the quantity is what was sent");
    const JsonView price = *sent.find("price");
    const std::string_view written =
        price.is_number() ? price.number_text() : price.as_string().value_or("");
    FUZZ_CHECK(exact_minor_units(written, order.total.currency.minor_digits()) == item.price_minor,
               "the price is exactly what was written");
    total += static_cast<domain::Int128>(item.price_minor) * item.quantity;
  }
  FUZZ_CHECK(total == order.total.minor_units, "the total is the sum");
  FUZZ_CHECK(order.total.minor_units >= 0 && order.total.minor_units <= limits::kMaxAmountMinor,
             "the total is within its limit");
  FUZZ_CHECK(domain::total_of(order.items) == order.total.minor_units, "total_of agrees");
}

void check_order(const Order& order, JsonView body, const api::Caller& caller) {
  check_items(order, body);
  FUZZ_CHECK(domain::is_valid_name(order.tenant.str()), "a tenant has a name's form");
  FUZZ_CHECK(caller.reaches(order.tenant), "the caller reaches the tenant");
  FUZZ_CHECK(domain::is_valid_name(order.customer.str()), "a customer has a name's form");
  FUZZ_CHECK(order.customer.str() == text_of(body, "customer_id"), "the customer is what was sent");
  FUZZ_CHECK(!order.payment_method.empty() &&
                 order.payment_method.size() <= limits::kMaxPaymentMethodBytes,
             "the payment method's limits");
  FUZZ_CHECK(domain::Currency::parse(order.total.currency.code()), "the currency is one");
  FUZZ_CHECK(order.metadata.size() <= limits::kMaxMetadataPairs, "the number of pairs");
  for (const auto& [name, value] : order.metadata) {
    FUZZ_CHECK(!name.empty() && name.size() <= 4 * limits::kMaxMetadataCharacters &&
                   value.size() <= 4 * limits::kMaxMetadataCharacters && net::is_valid_utf8(name) &&
                   net::is_valid_utf8(value),
               "a pair's limits");
  }
  FUZZ_CHECK(order.timeline.empty() && order.version.number == 0, "a draft was not placed");
}

/// What clients see of it is strict JSON, and the amounts in it are the order's.
void check_answers(const Order& draft) {
  const domain::Instant now{1'795'363'200'123'456};
  Order identified = draft;
  identified.id = domain::OrderId::make(now, 1, 2);
  const Order placed = domain::place(identified, now);
  const std::string answer = api::PlacedAnswer(draft).fill(placed.id, now);
  FUZZ_CHECK(api::PlacedAnswer(placed).fill(placed.id, now) == answer,
             "a replay's answer is the first one's");
  for (const std::string& text : {answer, api::order_body(placed)}) {
    const auto document = JsonDocument::parse(text, {.max_bytes = 4 * limits::kMaxBodyBytes});
    FUZZ_CHECK(document.has_value(), "an answer is strict JSON");
    const auto total = document->root().find("total");
    FUZZ_CHECK(total && total->find("minor_units")->as_int64() == draft.total.minor_units,
               "an answer shows the total");
    FUZZ_CHECK(domain::parse_amount(text_of(*total, "amount"), draft.total.currency) ==
                   draft.total.minor_units,
               "an answer's amount is read as the same");
  }
}

/// The same order in its canonical spelling, read as the first one was, has the same fingerprint.
void check_fingerprint(JsonView body, const api::SubmissionSource& source,
                       const domain::Fingerprint& fingerprint) {
  std::string canonical;
  net::canonical_json(body, canonical);
  const auto again = JsonDocument::parse(canonical, {.max_bytes = 8 * limits::kMaxBodyBytes});
  if (!again) {
    FUZZ_CHECK(again.error().code == net::JsonErrorCode::number_out_of_range,
               "the canonical form is JSON");
    return;
  }
  const auto submission = api::read_submission({.body = again->root(),
                                                .caller = source.caller,
                                                .header_key = source.header_key,
                                                .correlation = source.correlation,
                                                .traceparent = source.traceparent});
  FUZZ_CHECK(submission && submission->idempotency->fingerprint == fingerprint,
             "the fingerprint depends on the meaning alone");
}

void check_refusal(const api::Problem& problem) {
  using domain::ErrorCode;
  FUZZ_CHECK(problem.code == ErrorCode::forbidden || problem.code == ErrorCode::invalid_order ||
                 problem.code == ErrorCode::idempotency_key_invalid ||
                 problem.code == ErrorCode::idempotency_key_conflict,
             "a refusal is one of four");
  FUZZ_CHECK(problem.code != ErrorCode::invalid_order || !problem.errors.empty(),
             "a refused order has a wrong field");
  const std::string text =
      api::render_problem(problem, "/orders", domain::CorrelationId::unchecked("c0ffee"));
  const auto document = JsonDocument::parse(text, {.max_bytes = std::size_t{4} * 1024 * 1024});
  FUZZ_CHECK(document.has_value(), "a refusal is strict JSON");
  const auto status = document->root().find("status")->as_int64();
  FUZZ_CHECK(status && *status >= 400 && *status < 500, "bad input is the client's error");
}

}  // namespace

// The first byte chooses who sends it and under which header; the rest is the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  penstock::fuzz::FuzzInput input(data, size);
  const std::uint8_t choice = input.byte();
  const auto document = JsonDocument::parse(input.rest(), kJsonLimits);
  if (!document || !document->root().is_object()) return 0;
  const JsonView body = document->root();

  api::Caller caller{.kind = api::Caller::Kind::open,
                     .tenant = domain::TenantId::unchecked("default")};
  if ((choice & 1U) != 0) {
    caller = {.kind = api::Caller::Kind::tenant, .tenant = domain::TenantId::unchecked("acme")};
  }
  std::optional<domain::IdempotencyKey> key;
  if ((choice & 2U) != 0) key = domain::IdempotencyKey::unchecked("abc");
  const auto correlation = domain::CorrelationId::unchecked("c0ffee");
  const api::SubmissionSource source{.body = body,
                                     .caller = caller,
                                     .header_key = key,
                                     .correlation = correlation,
                                     .traceparent = ""};
  const auto submission = api::read_submission(source);
  if (!submission) {
    check_refusal(submission.error());
    return 0;
  }
  check_order(submission->draft, body, caller);
  check_answers(submission->draft);
  const bool has_key = key || !text_of(body, "idempotency_key").empty();
  FUZZ_CHECK(submission->idempotency.has_value() == has_key, "a key makes a claim");
  if (has_key) {
    FUZZ_CHECK(!key || submission->idempotency->key == *key, "the header's key is in force");
    check_fingerprint(body, source, submission->idempotency->fingerprint);
  }
  return 0;
}
