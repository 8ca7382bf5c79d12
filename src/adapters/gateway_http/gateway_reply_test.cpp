#include "adapters/gateway_http/gateway_reply.h"

#include <string>

#include <gtest/gtest.h>

namespace penstock::gateway_http {
namespace {

using domain::EffectKind;
using domain::Outcome;
using domain::OutcomeKind;

struct Row {
  EffectKind kind;
  int status;
  std::string body;
  OutcomeKind expected;
};

std::string error(const std::string& code) {
  return R"({"error":{"type":"t","code":")" + code + R"(","message":"m"}})";
}

constexpr const char* kSucceeded = R"({"id":"pi_1","status":"succeeded"})";
constexpr const char* kCanceled = R"({"status":"canceled"})";

TEST(GatewayReply, MeansWhatTheProtocolSays) {
  const Row rows[] = {
      {EffectKind::charge, 200, kSucceeded, OutcomeKind::done},
      {EffectKind::charge, 200, R"({"status":"succeeded"})", OutcomeKind::unknown},
      {EffectKind::charge, 200, R"({"id":"pi_1","status":"processing"})", OutcomeKind::unknown},
      {EffectKind::charge, 200, "<html>", OutcomeKind::unknown},
      {EffectKind::charge, 200, "", OutcomeKind::unknown},
      {EffectKind::charge, 200, "[]", OutcomeKind::unknown},
      {EffectKind::charge, 301, "", OutcomeKind::unknown},
      {EffectKind::charge, 400, error("payment_intent_unexpected_state"), OutcomeKind::closed},
      {EffectKind::charge, 400, error("request_refused"), OutcomeKind::permanent},
      {EffectKind::charge, 401, "", OutcomeKind::unavailable},
      {EffectKind::charge, 402, error("card_declined"), OutcomeKind::refused},
      {EffectKind::charge, 404, error("resource_missing"), OutcomeKind::permanent},
      {EffectKind::charge, 408, "", OutcomeKind::unknown},
      {EffectKind::charge, 409, error("idempotency_key_in_use"), OutcomeKind::unknown},
      {EffectKind::charge, 422, "", OutcomeKind::permanent},
      {EffectKind::charge, 429, "", OutcomeKind::unavailable},
      {EffectKind::charge, 500, error("not_processed"), OutcomeKind::transient},
      {EffectKind::charge, 500, "", OutcomeKind::unknown},
      {EffectKind::charge, 502, "<html>", OutcomeKind::unknown},
      {EffectKind::charge, 503, error("overloaded"), OutcomeKind::unavailable},
      {EffectKind::find_charge, 200, kSucceeded, OutcomeKind::done},
      {EffectKind::find_charge, 200, kCanceled, OutcomeKind::closed},
      {EffectKind::find_charge, 200, R"({"status":"requires_payment_method"})",
       OutcomeKind::refused},
      {EffectKind::find_charge, 404, error("resource_missing"), OutcomeKind::not_found},
      {EffectKind::find_charge, 404, "", OutcomeKind::permanent},
      {EffectKind::close_charge, 200, kCanceled, OutcomeKind::closed},
      {EffectKind::close_charge, 200, kSucceeded, OutcomeKind::done},
      {EffectKind::close_charge, 200, "{}", OutcomeKind::unknown},
      {EffectKind::close_charge, 500, "", OutcomeKind::unknown},
      {EffectKind::refund, 200, R"({"id":"re_1","status":"succeeded"})", OutcomeKind::done},
      {EffectKind::refund, 200, R"({"id":"re_1","status":"pending"})", OutcomeKind::unknown},
      {EffectKind::refund, 200, R"({"id":"re_1","status":"failed"})", OutcomeKind::refused},
      {EffectKind::refund, 200, kCanceled, OutcomeKind::unknown},
      {EffectKind::refund, 402, error("charge_not_refundable"), OutcomeKind::refused},
      {EffectKind::refund, 500, error("not_processed"), OutcomeKind::transient},
  };
  for (const Row& row : rows) {
    const Outcome outcome =
        read_reply(row.kind, {.status = row.status, .headers = {}, .body = row.body});
    EXPECT_EQ(outcome.kind, row.expected)
        << static_cast<int>(row.kind) << ' ' << row.status << ' ' << row.body;
    EXPECT_EQ(outcome.reference.empty(), row.expected != OutcomeKind::done);
  }
}

TEST(GatewayReply, TakesNoReferenceThatAnOrderCouldNotKeep) {
  const std::string body = R"({"id":")" + std::string(256, 'x') + R"(","status":"succeeded"})";
  const net::HttpReply reply{.status = 200, .headers = {}, .body = body};
  EXPECT_EQ(read_reply(EffectKind::charge, reply).kind, OutcomeKind::unknown);
}

TEST(GatewayReply, IsUnknownWithoutOneUnlessNothingWasSent) {
  using net::HttpClientError;
  EXPECT_EQ(read_failure(HttpClientError::timeout).kind, OutcomeKind::unknown);
  EXPECT_EQ(read_failure(HttpClientError::connection_lost).kind, OutcomeKind::unknown);
  EXPECT_EQ(read_failure(HttpClientError::malformed_response).kind, OutcomeKind::unknown);
  EXPECT_EQ(read_failure(HttpClientError::stopped).kind, OutcomeKind::unknown);
  EXPECT_EQ(read_failure(HttpClientError::connect_failed).kind, OutcomeKind::unavailable);
  EXPECT_EQ(read_failure(HttpClientError::overloaded).kind, OutcomeKind::unavailable);
  EXPECT_EQ(read_failure(HttpClientError::invalid_request).kind, OutcomeKind::permanent);
}

}  // namespace
}  // namespace penstock::gateway_http
