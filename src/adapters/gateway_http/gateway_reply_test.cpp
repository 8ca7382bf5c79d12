#include "adapters/gateway_http/gateway_reply.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::gateway_http {
namespace {

using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;

constexpr EffectKind kCalls[] = {EffectKind::charge, EffectKind::find_charge,
                                 EffectKind::close_charge, EffectKind::refund};

Asked asked(EffectKind kind) {
  return {kind, {2000, domain::Currency::usd()}, "order/charge"};
}

std::string error(const std::string& code) {
  return R"({"error":{"type":"t","code":")" + code + R"(","message":"m"}})";
}

std::string intent(const std::string& rest) {
  return R"({"id":"pi_1","object":"payment_intent",)" + rest + "}";
}
std::string refund(const std::string& rest) {
  return R"({"id":"re_1","object":"refund",)" + rest + "}";
}

OutcomeKind read(EffectKind kind, int status, const std::string& body,
                 const std::string& type = "application/json") {
  net::HttpReply reply{.status = status, .headers = {}, .body = body};
  if (!type.empty()) reply.headers.add("Content-Type", type);
  const Outcome outcome = read_reply(asked(kind), reply);
  EXPECT_EQ(outcome.reference.empty(), outcome.kind != OutcomeKind::done);
  if (outcome.kind == OutcomeKind::unknown) {
    EXPECT_EQ(outcome.trouble, domain::Trouble::unreadable);
    EXPECT_TRUE(outcome.detail.starts_with("HTTP " + std::to_string(status))) << outcome.detail;
  }
  return outcome.kind;
}

const std::string kSucceeded = intent(R"("status":"succeeded")");
const std::string kCanceled = intent(R"("status":"canceled")");
const std::string kDeclined = intent(R"("status":"requires_payment_method")");
const std::string kRefunded = refund(R"("status":"succeeded")");

/// The protocol, whole: what is said where. Whatever is not in it is unknown.
struct Said {
  EffectKind kind;
  int status;
  std::string body;

  auto operator<=>(const Said&) const = default;
};

std::map<Said, OutcomeKind> protocol() {
  std::map<Said, OutcomeKind> said{
      {{EffectKind::charge, 200, kSucceeded}, OutcomeKind::done},
      {{EffectKind::find_charge, 200, kSucceeded}, OutcomeKind::done},
      {{EffectKind::close_charge, 200, kSucceeded}, OutcomeKind::done},
      {{EffectKind::refund, 200, kRefunded}, OutcomeKind::done},
      {{EffectKind::find_charge, 200, kCanceled}, OutcomeKind::closed},
      {{EffectKind::close_charge, 200, kCanceled}, OutcomeKind::closed},
      {{EffectKind::find_charge, 200, kDeclined}, OutcomeKind::refused},
      {{EffectKind::charge, 402, error("card_declined")}, OutcomeKind::refused},
      {{EffectKind::charge, 402, error("payment_method_invalid")}, OutcomeKind::refused},
      {{EffectKind::charge, 402, error("amount_not_accepted")}, OutcomeKind::refused},
      {{EffectKind::charge, 402, error("currency_not_accepted")}, OutcomeKind::refused},
      {{EffectKind::refund, 402, error("charge_not_refundable")}, OutcomeKind::refused},
      {{EffectKind::charge, 400, error("payment_intent_unexpected_state")}, OutcomeKind::closed},
      {{EffectKind::find_charge, 404, error("resource_missing")}, OutcomeKind::not_found},
  };
  for (const EffectKind kind : kCalls) {
    for (const char* code :
         {"request_refused", "parameter_invalid", "parameter_missing", "idempotency_key_missing"}) {
      said[{kind, 400, error(code)}] = OutcomeKind::permanent;
    }
    said[{kind, 500, error("not_processed")}] = OutcomeKind::transient;
    said[{kind, 404, error("unknown_path")}] = OutcomeKind::unavailable;
    said[{kind, 405, error("method_not_allowed")}] = OutcomeKind::unavailable;
  }
  return said;
}

std::vector<std::string> bodies() {
  std::vector<std::string> all{"",
                               "{}",
                               "[]",
                               "null",
                               "\"succeeded\"",
                               "<html><body>Bad Gateway</body></html>",
                               kSucceeded,
                               kCanceled,
                               kDeclined,
                               kRefunded,
                               kSucceeded.substr(0, kSucceeded.size() - 1),
                               kSucceeded + kSucceeded,
                               R"({"status":"succeeded"})",
                               R"({"id":"pi_1","status":"succeeded"})",
                               R"({"object":"payment_intent","status":"succeeded"})",
                               R"({"id":"","object":"payment_intent","status":"succeeded"})",
                               R"({"id":"ch_1","object":"charge","status":"succeeded"})",
                               intent(R"("status":"processing")"),
                               intent(R"("status":"SUCCEEDED")"),
                               intent(R"("status":true)"),
                               intent(R"("status":"succeeded","error":{"code":"card_declined"})"),
                               intent(R"("status":"succeeded","error":{})"),
                               R"({"error":"card_declined"})",
                               R"({"code":"card_declined"})",
                               R"({"error":{"code":"somebody_elses"}})",
                               R"({"message":"no Route matched with those values"})"};
  for (const auto& [said, outcome] : protocol()) all.push_back(said.body);
  return all;
}

bool tells_by_status(int status) {
  return status == 401 || status == 403 || status == 407 || status == 429 || status == 503;
}

TEST(GatewayReply, IsAVerdictOnlyWhereTheProtocolSaysSo) {
  const std::map<Said, OutcomeKind> said = protocol();
  std::size_t rows = 0;
  for (const EffectKind kind : kCalls) {
    for (const int status : {200, 201, 202, 204, 301, 302, 307, 400, 401, 402, 403, 404, 405,
                             407, 408, 409, 413, 421, 422, 429, 500, 502, 503, 504, 520}) {
      for (const std::string& body : bodies()) {
        const auto found = said.find({kind, status, body});
        OutcomeKind expected = found == said.end() ? OutcomeKind::unknown : found->second;
        if (tells_by_status(status)) expected = OutcomeKind::unavailable;
        EXPECT_EQ(read(kind, status, body), expected)
            << static_cast<int>(kind) << ' ' << status << ' ' << body;
        EXPECT_EQ(read(kind, status, body, "text/html"),
                  tells_by_status(status) ? OutcomeKind::unavailable : OutcomeKind::unknown)
            << "a page: " << status << ' ' << body;
        rows += 2;
      }
    }
  }
  EXPECT_GT(rows, 1'000U);
}

TEST(GatewayReply, TakesJsonUnderEachOfItsNames) {
  for (const char* type : {"", "application/json", "Application/JSON; charset=utf-8",
                           "application/vnd.gateway+json"}) {
    EXPECT_EQ(read(EffectKind::charge, 200, kSucceeded, type), OutcomeKind::done) << type;
  }
  for (const char* type : {"text/plain", "text/html", "application/jsonp", "json", ";"}) {
    EXPECT_EQ(read(EffectKind::charge, 200, kSucceeded, type), OutcomeKind::unknown) << type;
  }
}

TEST(GatewayReply, IsNoAnswerWhereItRepeatsAnotherQuestion) {
  const auto with = [](const std::string& echo) {
    return read(EffectKind::charge, 200, intent(R"("status":"succeeded",)" + echo));
  };
  EXPECT_EQ(with(R"("amount":2000,"currency":"usd","idempotency_key":"order/charge")"),
            OutcomeKind::done);
  EXPECT_EQ(with(R"("amount":2001)"), OutcomeKind::unknown);
  EXPECT_EQ(with(R"("amount":"2000")"), OutcomeKind::unknown);
  EXPECT_EQ(with(R"("amount":2000.5)"), OutcomeKind::unknown);
  EXPECT_EQ(with(R"("currency":"EUR")"), OutcomeKind::unknown);
  EXPECT_EQ(with(R"("currency":null)"), OutcomeKind::unknown);
  EXPECT_EQ(with(R"("idempotency_key":"another/charge")"), OutcomeKind::unknown);
}

TEST(GatewayReply, TakesNoReferenceThatAnOrderCouldNotKeep) {
  const auto of_length = [](std::size_t length) {
    return R"({"id":")" + std::string(length, 'x') +
           R"(","object":"payment_intent","status":"succeeded"})";
  };
  EXPECT_EQ(read(EffectKind::charge, 200, of_length(255)), OutcomeKind::done);
  EXPECT_EQ(read(EffectKind::charge, 200, of_length(256)), OutcomeKind::unknown);
}

TEST(GatewayReply, IsUnknownWithoutOneUnlessNothingWasSent) {
  using domain::Trouble;
  using net::HttpClientError;
  const auto told = [](HttpClientError failure) { return read_failure(failure, "host:1"); };
  EXPECT_EQ(told(HttpClientError::timeout).kind, OutcomeKind::unknown);
  EXPECT_EQ(told(HttpClientError::timeout).trouble, Trouble::no_answer);
  EXPECT_EQ(told(HttpClientError::connection_lost).kind, OutcomeKind::unknown);
  EXPECT_EQ(told(HttpClientError::malformed_response).kind, OutcomeKind::unknown);
  EXPECT_EQ(told(HttpClientError::response_too_large).kind, OutcomeKind::unknown);
  EXPECT_EQ(told(HttpClientError::stopped).kind, OutcomeKind::unknown);
  EXPECT_EQ(told(HttpClientError::connect_failed).kind, OutcomeKind::unavailable);
  EXPECT_EQ(told(HttpClientError::connect_failed).trouble, Trouble::unreachable);
  EXPECT_EQ(told(HttpClientError::tls_failed).trouble, Trouble::unreachable);
  EXPECT_EQ(told(HttpClientError::unresolved).detail, "the host name has no address: host:1");
  EXPECT_EQ(told(HttpClientError::overloaded).kind, OutcomeKind::unavailable);
  EXPECT_EQ(told(HttpClientError::overloaded).trouble, Trouble::overloaded);
  EXPECT_EQ(told(HttpClientError::invalid_request).kind, OutcomeKind::permanent);
}

}  // namespace
}  // namespace penstock::gateway_http
