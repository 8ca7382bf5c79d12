#include "gateway/gateway_server.h"

#include <csignal>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "gateway/sandbox_fixture_test.h"
#include "net/http_client.h"

namespace penstock::gateway {
namespace {

/// A gateway on a free port, spoken to over TCP.
class GatewayServerTest : public ::testing::Test {
 protected:
  void start(GatewayServerOptions options = {}) {
    options.ledger_path = path_;
    server_ = std::make_unique<GatewayServer>(std::move(options));
    const auto started = server_->start();
    ASSERT_TRUE(started) << to_string(started.error());
  }

  net::HttpClientRequest charge(std::uint64_t n, const std::string& method = "pm_ok") {
    net::HttpClientRequest request;
    request.url = "http://127.0.0.1:" + std::to_string(server_->port()) + "/v1/payment_intents";
    request.method = net::HttpMethod::post;
    request.headers = {{"Idempotency-Key", testing::charge(n).key}};
    request.body = "amount=2000&currency=usd&payment_method=" + method +
                   "&metadata%5Border_id%5D=" + testing::order_id(n).str();
    return request;
  }

  std::string ledger() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  testing::TemporaryDirectory directory_;
  std::string path_ = directory_.file("ledger");
  std::unique_ptr<GatewayServer> server_;
  net::HttpClient client_{net::HttpClientOptions{}};
};

TEST_F(GatewayServerTest, CapturesOverTcpWithItsLineInTheLedgerBeforeTheReply) {
  start();
  const auto reply = client_.call(charge(1));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_NE(ledger().find(testing::charge(1).key), std::string::npos);
  EXPECT_EQ(client_.call(charge(1))->body, reply->body);
}

TEST_F(GatewayServerTest, ClosesTheConnectionWhereTheReplyIsDropped) {
  start();
  const auto lost = client_.call(charge(1, "pm_drop_reply"));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error(), net::HttpClientError::connection_lost);
  EXPECT_NE(ledger().find(testing::charge(1).key), std::string::npos);
}

TEST_F(GatewayServerTest, TellsThatItIsAlive) {
  start();
  net::HttpClientRequest request = charge(1);
  request.url = "http://127.0.0.1:" + std::to_string(server_->port()) + "/healthz";
  request.method = net::HttpMethod::get;
  const auto reply = client_.call(request);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
}

TEST_F(GatewayServerTest, DoesNotStartOnALedgerThatAnotherHolds) {
  start();
  GatewayServer second({.ledger_path = path_});
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error(), GatewayServerError(LedgerError::locked));
}

TEST_F(GatewayServerTest, DoesNotStartOnAPortThatIsTaken) {
  start();
  GatewayServer second({.port = server_->port(), .ledger_path = directory_.file("other")});
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error(), GatewayServerError(net::HttpServerError::address_in_use));
}

TEST_F(GatewayServerTest, StopsWithRequestsWaitingThatThenHaveNotActed) {
  start({.faults = {.latency = domain::Duration::seconds(600)}});
  std::promise<net::HttpClientResult> promise;
  client_.send(charge(1), [&](net::HttpClientResult result) { promise.set_value(result); });
  // A second request on the same server proves that it is up while the first one waits.
  net::HttpClientRequest alive = charge(2);
  alive.url = "http://127.0.0.1:" + std::to_string(server_->port()) + "/healthz";
  alive.method = net::HttpMethod::get;
  ASSERT_TRUE(client_.call(alive));
  server_->stop();
  EXPECT_FALSE(promise.get_future().get());
  EXPECT_EQ(ledger(), "");
}

TEST_F(GatewayServerTest, AnswersNobodyAfterAFailedWrite) {
  std::promise<LedgerError> failed;
  start({.on_failure = [&](LedgerError error) { failed.set_value(error); }});
  ASSERT_TRUE(client_.call(charge(1)));

  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 10, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto lost = client_.call(charge(2));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);

  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error(), net::HttpClientError::connection_lost);
  EXPECT_EQ(failed.get_future().get(), LedgerError::cannot_write);
  EXPECT_FALSE(client_.call(charge(1)));
}

}  // namespace
}  // namespace penstock::gateway
