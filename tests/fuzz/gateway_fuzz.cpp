// The gateway's wire and its ledger. The first byte chooses: a request's form, what an answer says,
// a line of the ledger, or a line that is built, damaged and read. No damaged line is read as
// another, and an answer is never taken for more than it says.

#include <array>
#include <string>
#include <string_view>

#include "adapters/gateway_http/gateway_reply.h"
#include "domain/limits.h"
#include "gateway/gateway_wire.h"
#include "gateway/key_hash.h"
#include "gateway/ledger_line.h"
#include "gateway/payment_method.h"
#include "net/json.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

namespace gateway = penstock::gateway;
namespace net = penstock::net;
using gateway::LedgerLine;
using gateway::LineType;
using penstock::domain::EffectKind;
using penstock::domain::Outcome;
using penstock::domain::OutcomeKind;
using penstock::fuzz::DerivedChoice;
using penstock::fuzz::FuzzInput;
using penstock::ports::GatewayRequest;

constexpr std::array kKinds = {EffectKind::charge, EffectKind::find_charge,
                               EffectKind::close_charge, EffectKind::refund};

/// What the server answers, as the client reads it.
Outcome over_the_wire(const GatewayRequest& request, const Outcome& outcome) {
  const net::HttpResponse response = gateway::answer_for(request, outcome);
  FUZZ_CHECK(net::JsonDocument::parse(response.body).has_value(), "an answer is strict JSON");
  net::HttpReply reply{.status = response.status, .headers = {}, .body = response.body};
  reply.headers.add("Content-Type", response.content_type);
  return penstock::gateway_http::read_reply(
      {.kind = request.kind, .amount = request.amount, .key = request.key}, reply);
}

/// What the sandbox can say about a request.
bool can_happen(EffectKind kind, OutcomeKind outcome) {
  switch (outcome) {
    case OutcomeKind::done:
    case OutcomeKind::transient:
    case OutcomeKind::permanent:
    case OutcomeKind::unavailable:
      return true;
    case OutcomeKind::refused:
      return kind != EffectKind::close_charge;
    case OutcomeKind::not_found:
      return kind == EffectKind::find_charge;
    case OutcomeKind::closed:
      return kind != EffectKind::refund;
    case OutcomeKind::unknown:
      return false;
  }
  return false;
}

void check_answers(const GatewayRequest& request) {
  for (const OutcomeKind kind :
       {OutcomeKind::done, OutcomeKind::refused, OutcomeKind::transient, OutcomeKind::permanent,
        OutcomeKind::not_found, OutcomeKind::closed, OutcomeKind::unavailable}) {
    if (!can_happen(request.kind, kind)) continue;
    const Outcome outcome{kind, kind == OutcomeKind::done ? "pi_0123" : ""};
    const Outcome read = over_the_wire(request, outcome);
    FUZZ_CHECK(read.kind == outcome.kind && read.reference == outcome.reference,
               "an outcome is read as it was said");
  }
}

/// First line: method and target; second: the Idempotency-Key; the rest is the form.
void check_request(FuzzInput& input) {
  const std::string_view text = input.rest();
  const std::size_t first = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, first);
  const std::string_view behind = text.substr(std::min(first + 1, text.size()));
  const std::size_t second = std::min(behind.find('\n'), behind.size());
  net::HttpRequest http;
  const std::size_t space = std::min(line.find(' '), line.size());
  http.method = net::parse_method(line.substr(0, space));
  http.target = line.substr(std::min(space + 1, line.size()));
  if (second > 0) http.headers.add("Idempotency-Key", behind.substr(0, second));
  http.body = behind.substr(std::min(second + 1, behind.size()));

  const auto request = gateway::read_request(http);
  if (!request) {
    FUZZ_CHECK(request.error().status == 400 || request.error().status == 404 ||
                   request.error().status == 405,
               "a refusal is one of three");
    FUZZ_CHECK(net::JsonDocument::parse(request.error().body).has_value(), "and strict JSON");
    return;
  }
  const bool moves = request->kind == EffectKind::charge || request->kind == EffectKind::refund;
  FUZZ_CHECK(!moves || http.method == net::HttpMethod::post, "money moves by POST alone");
  FUZZ_CHECK(!moves || penstock::domain::OrderId::parse(request->order.str()), "an order is named");
  check_answers(*request);
}

/// Status and effect in two bytes; the rest is the body.
void check_reply(FuzzInput& input) {
  constexpr std::array<int, 20> kStatuses = {200, 201, 204, 299, 301, 400, 401, 402, 403, 404,
                                             407, 408, 409, 422, 429, 500, 501, 502, 503, 504};
  const int status = kStatuses[input.below(kStatuses.size())];
  const EffectKind kind = kKinds[input.below(kKinds.size())];
  const std::string body(input.rest());
  net::HttpReply reply{.status = status, .headers = {}, .body = body};
  reply.headers.add("Content-Type", "application/json");
  const Outcome outcome = penstock::gateway_http::read_reply(
      {.kind = kind,
       .amount = {.minor_units = 2'000, .currency = penstock::domain::Currency::usd()},
       .key = "01893e2d-0000-7000-8000-000000000001/charge"},
      reply);
  const auto document = net::JsonDocument::parse(body);
  const bool is_success = status >= 200 && status < 300;
  if (outcome.kind == OutcomeKind::done) {
    FUZZ_CHECK(is_success && document && document->root().find("id") &&
                   document->root().find("id")->as_string() == outcome.reference &&
                   document->root().find("status")->as_string() == "succeeded",
               "done is what the answer says");
    FUZZ_CHECK(!outcome.reference.empty() && outcome.reference.size() <= 255,
               "a reference's limit");
  }
  const bool says_nothing = !document || !document->root().is_object();
  if (says_nothing && is_success) {
    FUZZ_CHECK(outcome.kind == OutcomeKind::unknown, "an unreadable success is unknown");
  }
  if (says_nothing && status >= 500 && status != 503) {
    FUZZ_CHECK(outcome.kind == OutcomeKind::unknown, "an unreadable failure is unknown");
  }
  if (outcome.kind == OutcomeKind::not_found) {
    FUZZ_CHECK(kind == EffectKind::find_charge && status == 404, "only a find finds nothing");
  }
}

std::string written(const LedgerLine& line) {
  std::string text;
  gateway::append_line(line, text);
  return text;
}

bool is_same(const LedgerLine& a, const LedgerLine& b) {
  return a.type == b.type && a.order_id == b.order_id && a.key == b.key &&
         a.minor_units == b.minor_units && a.currency == b.currency && a.at == b.at &&
         a.method == b.method && a.payment_intent == b.payment_intent;
}

void check_line(std::string_view text) {
  std::string scratch;
  if (const auto line = gateway::parse_line(text, scratch)) {
    FUZZ_CHECK(written(*line) == std::string(text) + '\n', "a line has one form");
  }
  if (const auto hash = gateway::parse_hex(text)) {
    std::string digits;
    gateway::append_hex(*hash, digits);
    FUZZ_CHECK(digits == text, "a hash has one form");
  }
  if (const auto hash = gateway::parse_capture_reference(text)) {
    FUZZ_CHECK(gateway::capture_reference(*hash) == text, "a reference has one form");
  }
  if (const auto method = gateway::parse_payment_method(text)) {
    FUZZ_CHECK(method->failures <= gateway::PaymentMethod::kMaxFailures &&
                   method->delay <= gateway::PaymentMethod::kMaxDelay,
               "a method's numbers are bounded");
  }
}

std::string printable_in(FuzzInput& input, std::size_t maximum) {
  std::string text(1 + input.below(maximum), ' ');
  for (char& c : text) c = static_cast<char>(' ' + input.below('~' - ' ' + 1));
  return text;
}

void check_built_line(FuzzInput& input) {
  const auto id =
      penstock::domain::OrderId::make({input.integer()}, input.number(), input.number());
  const std::string order = id.str();
  const std::string at = penstock::domain::to_rfc3339({input.integer()});
  constexpr std::array<std::string_view, 4> kMethods = {"pm_ok", "pm_fail_2", "pm_delay_50", "m"};
  LedgerLine line;
  line.type = static_cast<LineType>(input.below(4));
  line.order_id = order;
  line.minor_units = static_cast<std::int64_t>(
      input.below(static_cast<std::uint64_t>(penstock::domain::limits::kMaxAmountMinor) + 1));
  line.currency = input.flag() ? "USD" : "JPY";
  line.at = at;
  if (line.type == LineType::capture || line.type == LineType::declined) {
    line.method = kMethods[input.below(kMethods.size())];
  }
  if (line.type == LineType::refund) line.payment_intent = {input.number(), input.number()};
  const std::string key = printable_in(input, 255);
  line.key = key;
  const std::string text = written(line);
  const std::string_view whole = std::string_view(text).substr(0, text.size() - 1);

  std::string scratch;
  const auto back = gateway::parse_line(whole, scratch);
  FUZZ_CHECK(back && is_same(*back, line), "a line is read as written");
  DerivedChoice choice(text);
  for (int round = 0; round < 8; ++round) {
    std::string damaged(whole);
    char& byte = damaged[choice.below(damaged.size())];
    byte = static_cast<char>(byte ^ static_cast<char>(1 + choice.below(255)));
    FUZZ_CHECK(!gateway::parse_line(damaged, scratch), "a flipped byte is noticed");
    FUZZ_CHECK(!gateway::parse_line(whole.substr(0, choice.below(whole.size())), scratch),
               "a cut line is noticed");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  switch (input.byte()) {
    case 'q':
      check_request(input);
      break;
    case 'r':
      check_reply(input);
      break;
    case 'l':
      check_built_line(input);
      break;
    default:
      check_line(std::string_view(reinterpret_cast<const char*>(data), size));
      break;
  }
  return 0;
}
