#include "net/http_client.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/address_policy.h"
#include "net/descriptor_limit.h"
#include "net/http_server.h"

namespace penstock::net {
namespace {

using namespace std::chrono_literals;

class HttpClientTest : public testing::Test {
 protected:
  void serve(HttpHandler handler, HttpServerLimits limits = {}) {
    limits.sweep_interval = 10ms;
    server = std::make_unique<HttpServer>(HttpServerOptions{.limits = limits});
    ASSERT_TRUE(server->start(std::move(handler)).has_value());
  }

  std::string url(const std::string& target = "/") const {
    return "http://127.0.0.1:" + std::to_string(server->port()) + target;
  }

  static HttpHandler echo() {
    return [](HttpRequest&& request, Responder responder) {
      HttpResponse response{
          .status = 200, .body = request.method_text + " " + request.target + " " + request.body};
      response.headers.push_back(
          {.name = "X-Host", .value = std::string(*request.headers.find("Host"))});
      responder.send(std::move(response));
    };
  }

  /// Keeps requests unanswered.
  HttpHandler hold() {
    return [this](HttpRequest&&, Responder responder) {
      const std::lock_guard lock(mutex);
      held.push_back(std::move(responder));
      changed.notify_all();
    };
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Responder> held;
  std::atomic<int> seen{0};
  /// Last, so that its threads have ended before what its handlers use goes.
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpClientTest, SendsARequestAndGetsTheAnswer) {
  serve(echo());
  HttpClient client({});
  const HttpClientResult result = client.call({.url = url("/x?y=1"),
                                               .method = HttpMethod::post,
                                               .headers = {{.name = "X-A", .value = "b"}},
                                               .body = "hello"});
  ASSERT_TRUE(result.has_value()) << to_string(result.error());
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, "POST /x?y=1 hello");
  EXPECT_EQ(result->headers.find("x-host"), "127.0.0.1:" + std::to_string(server->port()));
}

TEST_F(HttpClientTest, KeepsOneConnectionForRequestsInARow) {
  serve(echo());
  HttpClient client({});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client.call({.url = url()}).has_value());
  EXPECT_EQ(server->connections(), 1U);
}

TEST_F(HttpClientTest, HeadHasNoBodyAndTheConnectionGoesOn) {
  serve(echo());
  HttpClient client({});
  const auto head = client.call({.url = url(), .method = HttpMethod::head});
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->body, "");
  EXPECT_EQ(client.call({.url = url()})->body, "GET / ");
  EXPECT_EQ(server->connections(), 1U);
}

TEST_F(HttpClientTest, ResolvesNames) {
  serve(echo());
  HttpClient client({});
  const auto result = client.call({.url = "http://localhost:" + std::to_string(server->port())});
  ASSERT_TRUE(result.has_value()) << to_string(result.error());
}

TEST_F(HttpClientTest, ARefusedConnectionIsNotSent) {
  serve(echo());
  const std::string gone = url();
  server.reset();
  HttpClient client({});
  const auto result = client.call({.url = gone});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), HttpClientError::connect_failed);
  EXPECT_EQ(delivery(result.error()), Delivery::not_sent);
}

TEST_F(HttpClientTest, ANameWithoutAnAddressIsNotSent) {
  HttpClient client({});
  const auto result = client.call({.url = "http://does-not-exist.invalid/"});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), HttpClientError::unresolved);
  EXPECT_EQ(delivery(result.error()), Delivery::not_sent);
}

TEST_F(HttpClientTest, ATimeoutIsUnknown) {
  serve(hold());
  HttpClient client({});
  const auto result = client.call({.url = url(), .timeout = 50ms});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), HttpClientError::timeout);
  EXPECT_EQ(delivery(result.error()), Delivery::unknown);
}

TEST_F(HttpClientTest, ADroppedReplyIsUnknownAndIsNotSentAgain) {
  serve([&](HttpRequest&& request, Responder responder) {
    ++seen;
    if (request.target == "/drop") {
      responder.abandon();
    } else {
      responder.send({});
    }
  });
  HttpClient client({});
  ASSERT_TRUE(client.call({.url = url("/keep")}).has_value());
  const auto result = client.call({.url = url("/drop"), .method = HttpMethod::post});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), HttpClientError::connection_lost);
  EXPECT_EQ(delivery(result.error()), Delivery::unknown);
  EXPECT_EQ(seen, 2);
}

TEST_F(HttpClientTest, AConnectionTheServerClosedWhileIdleIsNotUsedAgain) {
  serve(echo(), {.idle_timeout = 20ms});
  HttpClient client({});
  for (int i = 0; i < 5; ++i) {
    const auto result = client.call({.url = url()});
    ASSERT_TRUE(result.has_value()) << to_string(result.error());
    // Waits for the server to have closed: the client sees it as soon as the server does it.
    while (server->connections() > 0) std::this_thread::yield();
  }
}

TEST_F(HttpClientTest, TheAddressPolicyIsAskedAfterResolution) {
  serve(echo());
  HttpClient client({.allow_address = is_public_unicast});
  for (const std::string host : {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"}) {
    const auto result = client.call({.url = "http://" + host + ":1/"});
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error(), HttpClientError::address_refused) << host;
    EXPECT_EQ(delivery(result.error()), Delivery::not_sent);
  }
  EXPECT_EQ(server->connections(), 0U);
}

TEST_F(HttpClientTest, RefusesRequestsThatWouldBreakTheMessage) {
  HttpClient client({});
  const auto error = [&](const HttpClientRequest& request) { return client.call(request).error(); };
  EXPECT_EQ(error({.url = "nonsense"}), HttpClientError::invalid_request);
  for (const HttpHeader& header :
       {HttpHeader{.name = "X", .value = "a\r\nY: b"}, HttpHeader{.name = "a b", .value = "c"},
        HttpHeader{.name = "content-length", .value = "3"}}) {
    EXPECT_EQ(error({.url = "http://127.0.0.1:1/", .headers = {header}}),
              HttpClientError::invalid_request);
  }
}

TEST_F(HttpClientTest, AnAnswerThatIsTooLargeIsUnknown) {
  serve([](HttpRequest&&, Responder responder) {
    responder.send({.status = 200, .body = std::string(2000, 'x')});
  });
  HttpClient client({.reply_body_bytes = 1000});
  const auto result = client.call({.url = url()});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), HttpClientError::response_too_large);
  EXPECT_EQ(delivery(result.error()), Delivery::unknown);
}

TEST_F(HttpClientTest, ReadsAChunkedAnswer) {
  serve([](HttpRequest&&, Responder responder) {
    HttpStream stream = responder.stream({.status = 201});
    stream.write("one ");
    stream.write("two");
  });
  HttpClient client({});
  const auto result = client.call({.url = url()});
  ASSERT_TRUE(result.has_value()) << to_string(result.error());
  EXPECT_EQ(result->status, 201);
  EXPECT_EQ(result->body, "one two");
}

TEST_F(HttpClientTest, APlainServerFailsTlsBeforeAnythingIsSent) {
  serve([&](HttpRequest&&, Responder) { ++seen; });
  HttpClient client({});
  const auto result = client.call({.url = "https://127.0.0.1:" + std::to_string(server->port())});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), HttpClientError::tls_failed);
  EXPECT_EQ(delivery(result.error()), Delivery::not_sent);
  EXPECT_EQ(seen, 0);
}

/// Sends `count` requests at once and waits for all results.
std::vector<HttpClientResult> send_all(HttpClient& client, const HttpClientRequest& request,
                                       std::size_t count) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<HttpClientResult> results;
  for (std::size_t i = 0; i < count; ++i) {
    client.send(request, [&](HttpClientResult result) {
      const std::lock_guard lock(mutex);
      results.push_back(std::move(result));
      changed.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  changed.wait_for(lock, 120s, [&] { return results.size() == count; });
  return results;
}

TEST_F(HttpClientTest, HasThousandsInFlightOnOneThread) {
  constexpr std::size_t kRequests = 2'000;
  ASSERT_GE(raise_descriptor_limit(), 2 * kRequests + 200);
  serve([&](HttpRequest&&, Responder responder) {
    std::vector<Responder> all;
    {
      const std::lock_guard lock(mutex);
      held.push_back(std::move(responder));
      // Only when all have arrived is any answered.
      if (held.size() == kRequests) all.swap(held);
    }
    for (Responder& each : all) each.send({.status = 200, .body = "ok"});
  });
  HttpClient client({});
  const auto results = send_all(client, {.url = url(), .timeout = 100s}, kRequests);
  ASSERT_EQ(results.size(), kRequests);
  for (const HttpClientResult& result : results) {
    ASSERT_TRUE(result.has_value()) << to_string(result.error());
    EXPECT_EQ(result->body, "ok");
  }
}

TEST_F(HttpClientTest, ForgettingUnusedOriginsLeavesThoseInUseAlone) {
  serve(hold());
  HttpClient client({.max_unused_origins = 0, .sweep_interval = 1ms});
  std::promise<HttpClientResult> answered;
  client.send({.url = url()}, [&](HttpClientResult result) { answered.set_value(result); });
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return !held.empty(); });
  // None listens there.
  for (int host = 2; host < 20; ++host) {
    const auto other = "http://127.0.0." + std::to_string(host) + ":" + url().substr(17);
    EXPECT_FALSE(client.call({.url = other, .timeout = 5ms}).has_value());
  }
  held.back().send({.status = 200, .body = "late"});
  const auto result = answered.get_future().get();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->body, "late");
}

TEST_F(HttpClientTest, RequestsBeyondTheConnectionsWaitTheirTurn) {
  serve(echo());
  HttpClient client({.max_connections = 3});
  const auto results = send_all(client, {.url = url()}, 100);
  ASSERT_EQ(results.size(), 100U);
  for (const HttpClientResult& result : results) EXPECT_TRUE(result.has_value());
  EXPECT_LE(server->connections(), 3U);
}

TEST_F(HttpClientTest, RefusesWhatPassesTheQueuesLimit) {
  serve(hold());
  HttpClient client({.max_connections = 1, .max_queued = 2});
  const auto results = send_all(client, {.url = url(), .timeout = 200ms}, 10);
  ASSERT_EQ(results.size(), 10U);
  std::size_t overloaded = 0;
  for (const HttpClientResult& result : results) {
    ASSERT_FALSE(result.has_value());
    if (result.error() == HttpClientError::overloaded) ++overloaded;
  }
  EXPECT_EQ(overloaded, 7U);
}

TEST_F(HttpClientTest, StoppingFailsWhatIsInFlightAndWhatComesAfter) {
  serve(hold());
  HttpClient client({});
  std::promise<HttpClientResult> promise;
  client.send({.url = url()},
              [&](HttpClientResult result) { promise.set_value(std::move(result)); });
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 60s, [&] { return !held.empty(); }));
  }
  client.stop();
  const HttpClientResult result = promise.get_future().get();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), HttpClientError::stopped);
  EXPECT_EQ(delivery(result.error()), Delivery::unknown);
  EXPECT_EQ(client.call({.url = url()}).error(), HttpClientError::stopped_before_sending);
}

}  // namespace
}  // namespace penstock::net
