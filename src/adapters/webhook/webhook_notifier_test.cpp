#include "adapters/webhook/webhook_notifier.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/webhook/http_sink_test.h"
#include "adapters/webhook/order_fixture_test.h"
#include "adapters/webhook/webhook_signature.h"
#include "net/json.h"

namespace penstock::webhook {
namespace {

using ports::NotificationOutcome;
using ports::NotificationReply;
using ports::NotificationRequest;
using testing::Alarm;
using testing::HttpSink;

constexpr const char* kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

NotificationRequest request_to(const std::string& url) {
  NotificationRequest request;
  request.ticket = 7;
  request.webhook = {.url = url, .secret = kSecret};
  request.order = testing::fulfilled_order();
  request.now = domain::Instant{1'795'363'300'999'999};
  return request;
}

/// A notifier, and one attempt after the other.
class WebhookNotifierTest : public ::testing::Test {
 protected:
  NotificationOutcome send(NotificationRequest request, WebhookNotifierOptions options) {
    options.wake = [this] { alarm_.ring(); };
    WebhookNotifier notifier(options);
    notifier.submit({&request, 1});
    const auto replies = testing::take<NotificationReply>(notifier, alarm_, 1);
    if (replies.size() != 1) return NotificationOutcome::failed;
    EXPECT_EQ(replies.front().ticket, request.ticket);
    return replies.front().outcome;
  }

  NotificationOutcome send(const NotificationRequest& request) {
    return send(request, {.reach = Reach::any});
  }

  Alarm alarm_;
};

TEST_F(WebhookNotifierTest, DeliversTheEventSignedOverWhatWasSent) {
  HttpSink sink(204);
  const NotificationRequest request = request_to(sink.url());
  EXPECT_EQ(send(request), NotificationOutcome::delivered);

  ASSERT_EQ(sink.requests().size(), 1u);
  const net::HttpRequest seen = sink.requests().front();
  EXPECT_EQ(seen.method, net::HttpMethod::post);
  EXPECT_EQ(seen.target, "/hook");
  EXPECT_EQ(seen.headers.find("Content-Type"), "application/json");
  EXPECT_EQ(seen.headers.find("webhook-id"), "evt_" + request.order.id.str());
  EXPECT_EQ(seen.headers.find("webhook-timestamp"), "1795363300");
  EXPECT_EQ(seen.headers.find("webhook-signature"),
            sign(kSecret,
                 {.id = event_id(request.order.id), .timestamp_s = 1795363300, .body = seen.body}));
  EXPECT_EQ(seen.headers.find("X-Correlation-Id"), "corr-1");
  EXPECT_EQ(seen.headers.find("traceparent"), request.order.traceparent);
}

TEST_F(WebhookNotifierTest, DescribesTheOrderAsTheApiDoes) {
  HttpSink sink(200);
  const NotificationRequest request = request_to(sink.url());
  send(request);
  ASSERT_EQ(sink.requests().size(), 1u);
  EXPECT_EQ(
      sink.requests().front().body,
      R"({"type":"order.fulfilled","timestamp":"2026-11-22T16:00:01.000000Z","data":{"order":)"
      R"({"order_id":")" +
          request.order.id.str() +
          R"(","status":"fulfilled","tenant_id":"acme","customer_id":"cust-123",)"
          R"("items":[{"product_id":"PROD-001","quantity":2,"price":"10.00"}],)"
          R"("total":{"amount":"20.00","minor_units":2000,"currency":"USD"},)"
          R"("metadata":{"note":"say \"hi\"\n"},"correlation_id":"corr-1","version":4,)"
          R"("created_at":"2026-11-22T16:00:00.000000Z",)"
          R"("updated_at":"2026-11-22T16:00:01.000000Z","reason":"receipt-issued"}}})");
  EXPECT_TRUE(net::JsonDocument::parse(sink.requests().front().body));
}

TEST_F(WebhookNotifierTest, RepeatsIdAndBodyAndRenewsTheTimestamp) {
  HttpSink sink(500);
  NotificationRequest request = request_to(sink.url());
  EXPECT_EQ(send(request), NotificationOutcome::failed);
  request.attempt = 2;
  request.now = request.now + domain::Duration::seconds(5);
  EXPECT_EQ(send(request), NotificationOutcome::failed);
  const auto seen = sink.requests();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].headers.find("webhook-id"), seen[1].headers.find("webhook-id"));
  EXPECT_EQ(seen[0].body, seen[1].body);
  EXPECT_EQ(seen[1].headers.find("webhook-timestamp"), "1795363305");
  EXPECT_NE(seen[0].headers.find("webhook-signature"), seen[1].headers.find("webhook-signature"));
}

TEST_F(WebhookNotifierTest, TakesOnlyA2xxForDeliveredAndA410ForGone) {
  const std::pair<int, NotificationOutcome> rows[] = {
      {200, NotificationOutcome::delivered}, {299, NotificationOutcome::delivered},
      {301, NotificationOutcome::failed},    {304, NotificationOutcome::failed},
      {400, NotificationOutcome::failed},    {404, NotificationOutcome::failed},
      {410, NotificationOutcome::gone},      {429, NotificationOutcome::failed},
      {500, NotificationOutcome::failed},    {503, NotificationOutcome::failed}};
  for (const auto& [status, expected] : rows) {
    HttpSink sink(status);
    EXPECT_EQ(send(request_to(sink.url())), expected) << status;
  }
}

TEST_F(WebhookNotifierTest, DoesNotFollowARedirect) {
  HttpSink target(200);
  HttpSink sink([&](const net::HttpRequest&, net::Responder reply) {
    reply.send({.status = 307, .headers = {{"Location", target.url()}}});
  });
  EXPECT_EQ(send(request_to(sink.url())), NotificationOutcome::failed);
  EXPECT_TRUE(target.requests().empty());
}

TEST_F(WebhookNotifierTest, RefusesPrivateAddressesAfterNameResolution) {
  HttpSink sink(200);
  std::string by_name = sink.url();
  by_name.replace(by_name.find("127.0.0.1"), 9, "localhost");
  for (const std::string& url : {sink.url(), by_name}) {
    EXPECT_EQ(send(request_to(url), {}), NotificationOutcome::failed) << url;
  }
  EXPECT_TRUE(sink.requests().empty());
  EXPECT_EQ(send(request_to(sink.url())), NotificationOutcome::delivered);
}

TEST_F(WebhookNotifierTest, FailsWhereNobodyAnswersInTime) {
  std::vector<net::Responder> kept;
  HttpSink sink(
      [&](const net::HttpRequest&, net::Responder reply) { kept.push_back(std::move(reply)); });
  EXPECT_EQ(send(request_to(sink.url()),
                 {.reach = Reach::any, .timeout = std::chrono::milliseconds(100)}),
            NotificationOutcome::failed);
}

TEST_F(WebhookNotifierTest, FailsOnADroppedConnection) {
  HttpSink dropping([](const net::HttpRequest&, net::Responder reply) { reply.abandon(); });
  EXPECT_EQ(send(request_to(dropping.url())), NotificationOutcome::failed);
}

TEST_F(WebhookNotifierTest, TheStatusCountsHoweverLongTheBodyIs) {
  for (const std::size_t bytes : {20'000U, 1'000'000U}) {
    HttpSink talkative(200, std::string(bytes, 'x'));
    EXPECT_EQ(send(request_to(talkative.url())), NotificationOutcome::delivered) << bytes;
    HttpSink gone(410, std::string(bytes, 'x'));
    EXPECT_EQ(send(request_to(gone.url())), NotificationOutcome::gone) << bytes;
    HttpSink failing(500, std::string(bytes, 'x'));
    EXPECT_EQ(send(request_to(failing.url())), NotificationOutcome::failed) << bytes;
  }
}

TEST_F(WebhookNotifierTest, FailsOnAUrlThatIsNone) {
  EXPECT_EQ(send(request_to("ftp://example.com/")), NotificationOutcome::failed);
  EXPECT_EQ(send(request_to("http://127.0.0.1:1/")), NotificationOutcome::failed);
}

TEST_F(WebhookNotifierTest, SendsNothingToADisabledWebhook) {
  HttpSink sink(200);
  NotificationRequest request = request_to(sink.url());
  request.webhook.disabled = true;
  EXPECT_EQ(send(request), NotificationOutcome::gone);
  EXPECT_TRUE(sink.requests().empty());
}

TEST_F(WebhookNotifierTest, AnswersEachOfManyOnceAndFailsWhatIsBeyondItsBound) {
  constexpr std::size_t kBound = 50;
  HttpSink sink(200);
  WebhookNotifier notifier(
      {.reach = Reach::any, .max_in_flight = kBound, .wake = [this] { alarm_.ring(); }});
  std::vector<NotificationRequest> requests(kBound + 10, request_to(sink.url()));
  for (std::size_t n = 0; n < requests.size(); ++n) requests[n].ticket = n;
  notifier.submit(requests);
  std::map<std::uint64_t, NotificationOutcome> outcomes;
  for (const auto& reply : testing::take<NotificationReply>(notifier, alarm_, requests.size())) {
    EXPECT_TRUE(outcomes.emplace(reply.ticket, reply.outcome).second);
  }
  for (std::size_t n = 0; n < requests.size(); ++n) {
    EXPECT_EQ(outcomes.at(n),
              n < kBound ? NotificationOutcome::delivered : NotificationOutcome::failed);
  }
  EXPECT_EQ(sink.requests().size(), kBound);
  // The answered ones have left their places.
  notifier.submit({requests.data(), 1});
  const auto late = testing::take<NotificationReply>(notifier, alarm_, 1);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].outcome, NotificationOutcome::delivered);
}

}  // namespace
}  // namespace penstock::webhook
