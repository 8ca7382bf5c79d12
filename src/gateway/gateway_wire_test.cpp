#include "gateway/gateway_wire.h"

#include <string>

#include <gtest/gtest.h>

#include "gateway/sandbox_fixture_test.h"

namespace penstock::gateway {
namespace {

using domain::EffectKind;
using domain::OutcomeKind;
using net::HttpMethod;

const std::string kOrder = testing::order_id(1).str();

net::HttpRequest charge_request() {
  net::HttpRequest request;
  request.method = HttpMethod::post;
  request.target = "/v1/payment_intents";
  request.headers = {{"Idempotency-Key", "order/charge"}};
  request.body =
      "amount=2000&currency=usd&payment_method=pm_ok&confirm=true&metadata%5Border_id%5D=" + kOrder;
  return request;
}

int status_of(const net::HttpRequest& request) {
  const auto read = read_request(request);
  return read ? 200 : read.error().status;
}

TEST(GatewayWire, ReadsACharge) {
  const auto request = read_request(charge_request());
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, EffectKind::charge);
  EXPECT_EQ(request->key, "order/charge");
  EXPECT_EQ(request->order, testing::order_id(1));
  EXPECT_EQ(request->amount, (domain::Money{2000, domain::Currency::usd()}));
  EXPECT_EQ(request->method, "pm_ok");
}

TEST(GatewayWire, ReadsARefundByReferenceOrByChargeKey) {
  net::HttpRequest http = charge_request();
  http.target = "/v1/refunds";
  http.body = "amount=2000&currency=USD&metadata[order_id]=" + kOrder;
  EXPECT_EQ(status_of(http), 400);
  http.body += "&payment_intent=pi_1";
  ASSERT_TRUE(read_request(http));
  EXPECT_EQ(read_request(http)->kind, EffectKind::refund);
  EXPECT_EQ(read_request(http)->reference, "pi_1");
  http.body += "&charge_key=order%2Fcharge";
  EXPECT_EQ(read_request(http)->charge_key, "order/charge");
}

TEST(GatewayWire, ReadsFindAndCloseByAnEscapedKey) {
  net::HttpRequest http;
  http.target = "/v1/payment_intents/by-key/order%2Fcharge";
  auto request = read_request(http);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, EffectKind::find_charge);
  EXPECT_EQ(request->key, "order/charge");
  http.target += "/cancel";
  EXPECT_EQ(status_of(http), 405);
  http.method = HttpMethod::post;
  request = read_request(http);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, EffectKind::close_charge);
  EXPECT_EQ(request->key, "order/charge");
}

TEST(GatewayWire, RefusesFieldsOfAWrongForm) {
  const std::string good = charge_request().body;
  const auto with = [&](const std::string& from, const std::string& to) {
    net::HttpRequest request = charge_request();
    request.body.replace(good.find(from), from.size(), to);
    return status_of(request);
  };
  EXPECT_EQ(with("2000", "2000"), 200);
  EXPECT_EQ(with("2000", "20.00"), 400);
  EXPECT_EQ(with("2000", ""), 400);
  EXPECT_EQ(with("2000", "99999999999999999999"), 400);
  EXPECT_EQ(with("usd", "usdollar"), 400);
  EXPECT_EQ(with("usd", "xxx"), 400);
  EXPECT_EQ(with(kOrder, "1"), 400);
  EXPECT_EQ(with("amount=", "amount"), 400);
  EXPECT_EQ(with("pm_ok", "%zz"), 400);
}

TEST(GatewayWire, RefusesOtherPathsMethodsAndMissingOrDoubledKeys) {
  net::HttpRequest request = charge_request();
  request.target = "/v1/charges";
  EXPECT_EQ(status_of(request), 404);
  request = charge_request();
  request.method = HttpMethod::get;
  EXPECT_EQ(status_of(request), 405);
  request = charge_request();
  request.headers = {};
  EXPECT_EQ(status_of(request), 400);
  request.headers = {{"Idempotency-Key", "one"}, {"idempotency-key", "two"}};
  EXPECT_EQ(status_of(request), 400);
}

TEST(GatewayWire, AnswersEachOutcomeWithAStatusOfItsOwn) {
  const ports::GatewayRequest charge = testing::charge(1);
  const auto status = [&](OutcomeKind kind) { return answer_for(charge, {kind, "pi_1"}).status; };
  EXPECT_EQ(status(OutcomeKind::done), 200);
  EXPECT_EQ(status(OutcomeKind::refused), 402);
  EXPECT_EQ(status(OutcomeKind::closed), 400);
  EXPECT_EQ(status(OutcomeKind::permanent), 400);
  EXPECT_EQ(status(OutcomeKind::transient), 500);
  EXPECT_EQ(status(OutcomeKind::unavailable), 503);
  EXPECT_EQ(answer_for(testing::find(1), {OutcomeKind::not_found, {}}).status, 404);
  EXPECT_EQ(answer_for(testing::close(1), {OutcomeKind::closed, {}}).status, 200);
  EXPECT_EQ(answer_for(charge, {OutcomeKind::done, "pi_1"}).body,
            R"({"id":"pi_1","object":"payment_intent","status":"succeeded"})");
}

}  // namespace
}  // namespace penstock::gateway
