#include "adapters/webhook/http_fulfiller.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/webhook/http_sink_test.h"
#include "adapters/webhook/order_fixture_test.h"
#include "net/json.h"

namespace penstock::webhook {
namespace {

using domain::EffectKind;
using domain::OutcomeKind;
using ports::FulfillmentReply;
using ports::FulfillmentRequest;
using testing::Alarm;
using testing::HttpSink;

FulfillmentRequest request_of(EffectKind kind) {
  FulfillmentRequest request;
  request.ticket = 7;
  request.kind = kind;
  request.order = testing::fulfilled_order();
  request.order.status = domain::Status::charged;
  request.key = domain::effect_key(request.order, EffectKind::fulfill);
  return request;
}

class HttpFulfillerTest : public ::testing::Test {
 protected:
  OutcomeKind ask(const std::string& url, FulfillmentRequest request,
                  std::chrono::milliseconds timeout = std::chrono::minutes(2)) {
    auto fulfiller =
        HttpFulfiller::open({.url = url, .timeout = timeout, .wake = [this] { alarm_.ring(); }});
    EXPECT_TRUE(fulfiller);
    if (!fulfiller) return OutcomeKind::permanent;
    (*fulfiller)->submit({&request, 1});
    const auto replies = testing::take<FulfillmentReply>(**fulfiller, alarm_, 1);
    if (replies.size() != 1) return OutcomeKind::permanent;
    EXPECT_EQ(replies.front().ticket, request.ticket);
    return replies.front().outcome.kind;
  }

  OutcomeKind ask(HttpSink& sink, EffectKind kind) { return ask(sink.url(), request_of(kind)); }

  Alarm alarm_;
};

TEST_F(HttpFulfillerTest, PostsTheOrderUnderItsKey) {
  HttpSink sink(202);
  const FulfillmentRequest request = request_of(EffectKind::fulfill);
  EXPECT_EQ(ask(sink.url(), request), OutcomeKind::done);
  ASSERT_EQ(sink.requests().size(), 1u);
  const net::HttpRequest seen = sink.requests().front();
  EXPECT_EQ(seen.method, net::HttpMethod::post);
  EXPECT_EQ(seen.headers.find("Idempotency-Key"), request.key);
  EXPECT_EQ(seen.headers.find("X-Correlation-Id"), "corr-1");
  EXPECT_EQ(seen.headers.find("traceparent"), request.order.traceparent);
  const auto order = net::JsonDocument::parse(seen.body);
  ASSERT_TRUE(order);
  EXPECT_EQ(order->root().find("order_id")->as_string(), request.order.id.str());
}

TEST_F(HttpFulfillerTest, AsksAndClosesByKey) {
  HttpSink sink(200, R"({"state":"accepted"})");
  const FulfillmentRequest find = request_of(EffectKind::find_fulfillment);
  EXPECT_EQ(ask(sink.url("/hook?shop=1"), find), OutcomeKind::done);
  EXPECT_EQ(ask(sink.url(), request_of(EffectKind::close_fulfillment)), OutcomeKind::done);
  const auto seen = sink.requests();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].method, net::HttpMethod::get);
  EXPECT_EQ(seen[0].target, "/hook?shop=1&key=" + find.order.id.str() + "%2Ffulfill");
  EXPECT_EQ(seen[1].method, net::HttpMethod::delete_);
  EXPECT_EQ(seen[1].target, "/hook?key=" + find.order.id.str() + "%2Ffulfill");
}

TEST_F(HttpFulfillerTest, ReadsEachStatusOfAFulfillment) {
  const std::pair<int, OutcomeKind> rows[] = {
      {200, OutcomeKind::done},    {204, OutcomeKind::done},        {302, OutcomeKind::unknown},
      {400, OutcomeKind::unknown}, {401, OutcomeKind::unavailable}, {404, OutcomeKind::unknown},
      {408, OutcomeKind::unknown}, {409, OutcomeKind::refused},     {410, OutcomeKind::closed},
      {422, OutcomeKind::refused}, {429, OutcomeKind::unavailable}, {500, OutcomeKind::transient},
      {502, OutcomeKind::unknown}, {503, OutcomeKind::unavailable}, {504, OutcomeKind::unknown}};
  for (const auto& [status, expected] : rows) {
    HttpSink sink(status);
    EXPECT_EQ(ask(sink, EffectKind::fulfill), expected) << status;
  }
}

TEST_F(HttpFulfillerTest, ReadsTheStateThatFindAndCloseAreTold) {
  struct Row {
    int status;
    std::string body;
    OutcomeKind found;
    OutcomeKind closed;
  };
  const Row rows[] = {{200, R"({"state":"accepted"})", OutcomeKind::done, OutcomeKind::done},
                      {200, R"({"state":"closed"})", OutcomeKind::closed, OutcomeKind::closed},
                      {200, R"({"state":"refused"})", OutcomeKind::refused, OutcomeKind::unknown},
                      {200, R"({"state":"thinking"})", OutcomeKind::unknown, OutcomeKind::unknown},
                      {200, "accepted", OutcomeKind::unknown, OutcomeKind::unknown},
                      {404, "", OutcomeKind::not_found, OutcomeKind::unknown},
                      {410, "", OutcomeKind::unknown, OutcomeKind::unknown},
                      {500, "", OutcomeKind::transient, OutcomeKind::transient},
                      {503, "", OutcomeKind::unavailable, OutcomeKind::unavailable}};
  for (const Row& row : rows) {
    HttpSink sink(row.status, row.body);
    EXPECT_EQ(ask(sink, EffectKind::find_fulfillment), row.found) << row.status << row.body;
    EXPECT_EQ(ask(sink, EffectKind::close_fulfillment), row.closed) << row.status << row.body;
  }
}

TEST_F(HttpFulfillerTest, IsUnknownWithoutAnAnswerAndUnavailableWhereNobodyListens) {
  std::vector<net::Responder> kept;
  HttpSink silent(
      [&](const net::HttpRequest&, net::Responder reply) { kept.push_back(std::move(reply)); });
  EXPECT_EQ(ask(silent.url(), request_of(EffectKind::fulfill), std::chrono::milliseconds(100)),
            OutcomeKind::unknown);
  HttpSink dropping([](const net::HttpRequest&, net::Responder reply) { reply.abandon(); });
  EXPECT_EQ(ask(dropping, EffectKind::fulfill), OutcomeKind::unknown);
  EXPECT_EQ(ask("http://127.0.0.1:1/", request_of(EffectKind::fulfill)), OutcomeKind::unavailable);
}

TEST_F(HttpFulfillerTest, DoesNotSendWhatIsNoFulfillment) {
  HttpSink sink(200);
  EXPECT_EQ(ask(sink, EffectKind::charge), OutcomeKind::permanent);
  EXPECT_TRUE(sink.requests().empty());
}

TEST_F(HttpFulfillerTest, IsUnavailableBeyondItsBoundAndAnAnswerFreesAPlace) {
  HttpSink sink(202);
  auto opened = HttpFulfiller::open(
      {.url = sink.url(), .max_in_flight = 2, .wake = [this] { alarm_.ring(); }});
  ASSERT_TRUE(opened);
  for (int round = 0; round < 3; ++round) {
    std::vector<FulfillmentRequest> requests(3, request_of(EffectKind::fulfill));
    for (std::size_t n = 0; n < requests.size(); ++n) requests[n].ticket = n;
    (*opened)->submit(requests);
    for (const auto& reply : testing::take<FulfillmentReply>(**opened, alarm_, requests.size())) {
      EXPECT_EQ(reply.outcome.kind, reply.ticket < 2 ? OutcomeKind::done : OutcomeKind::unavailable)
          << round;
    }
  }
}

TEST(HttpFulfiller, DoesNotOpenOnABadUrl) {
  for (const char* url : {"", "hook", "ftp://host/", "http://user@host/"}) {
    EXPECT_FALSE(HttpFulfiller::open({.url = url})) << url;
  }
}

}  // namespace
}  // namespace penstock::webhook
