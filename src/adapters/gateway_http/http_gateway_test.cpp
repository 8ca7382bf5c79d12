#include "adapters/gateway_http/http_gateway.h"

#include <condition_variable>
#include <cstddef>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/gateway_http/gateway_process_test.h"
#include "gateway/ledger_line.h"
#include "gateway/sandbox_fixture_test.h"
#include "net/descriptor_limit.h"
#include "net/http_server.h"

namespace penstock::gateway_http {
namespace {

using domain::Outcome;
using domain::OutcomeKind;
using gateway::testing::charge;
using gateway::testing::close;
using gateway::testing::find;
using gateway::testing::refund;
using testing::GatewayProcess;

constexpr domain::Now kNow{.wall = gateway::testing::kStart, .monotonic = {}};
/// Only guards a test against hanging.
constexpr std::chrono::minutes kGuard{5};

/// A gateway process and the adapter that speaks to it.
class HttpGatewayTest : public ::testing::Test {
 protected:
  void SetUp() override { net::raise_descriptor_limit(); }

  void start_process(const gateway::SandboxFaults& faults = {}) {
    process_ = std::make_unique<GatewayProcess>(path_, faults);
    ASSERT_NE(process_->port(), 0);
  }

  void connect(const std::string& url, std::chrono::milliseconds timeout = kGuard) {
    auto opened = HttpGateway::open({.url = url, .timeout = timeout, .wake = [this] { wake(); }});
    ASSERT_TRUE(opened);
    gateway_ = std::move(*opened);
  }

  void start(const gateway::SandboxFaults& faults = {}) {
    start_process(faults);
    connect(process_->url());
  }

  void wake() {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
    awake_.notify_one();
  }

  /// Polls, woken by the adapter, until so many replies are there.
  std::vector<ports::GatewayReply> take(std::size_t count) {
    std::vector<ports::GatewayReply> replies;
    while (true) {
      gateway_->poll(replies, kNow);
      if (replies.size() >= count) return replies;
      std::unique_lock lock(mutex_);
      const bool in_time = awake_.wait_for(lock, kGuard, [this] { return woken_; });
      EXPECT_TRUE(in_time) << replies.size() << " of " << count;
      if (!in_time) return replies;
      woken_ = false;
    }
  }

  Outcome ask(ports::GatewayRequest request) {
    const std::uint64_t ticket = request.ticket;
    gateway_->submit({&request, 1}, kNow);
    const std::vector<ports::GatewayReply> replies = take(1);
    if (replies.size() != 1) return {OutcomeKind::unavailable, "no reply"};
    EXPECT_EQ(replies.front().ticket, ticket);
    return replies.front().outcome;
  }

  /// What goes over the wire for a request.
  std::optional<net::HttpRequest> sent_for(const ports::GatewayRequest& request) {
    std::mutex mutex;
    std::optional<net::HttpRequest> seen;
    net::HttpServer server({});
    EXPECT_TRUE(server.start([&](net::HttpRequest&& arrived, net::Responder responder) {
      {
        const std::scoped_lock lock(mutex);
        seen = std::move(arrived);
      }
      responder.send({.status = 503});
    }));
    connect("http://127.0.0.1:" + std::to_string(server.port()) + "/prefix/");
    EXPECT_EQ(ask(request).kind, OutcomeKind::unavailable);
    server.stop();
    return seen;
  }

  /// The keys of the ledger's captures; each may be there once.
  std::set<std::string> captured_keys() const {
    std::set<std::string> keys;
    std::ifstream file(path_);
    std::string scratch;
    for (std::string line; std::getline(file, line);) {
      const auto parsed = gateway::parse_line(line, scratch);
      EXPECT_TRUE(parsed) << line;
      if (!parsed || parsed->type != gateway::LineType::capture) continue;
      EXPECT_TRUE(keys.emplace(parsed->key).second) << "captured twice: " << line;
    }
    return keys;
  }

  gateway::testing::TemporaryDirectory directory_;
  std::string path_ = directory_.file("ledger");
  std::unique_ptr<GatewayProcess> process_;
  std::mutex mutex_;
  std::condition_variable awake_;
  bool woken_ = false;
  std::unique_ptr<HttpGateway> gateway_;
};

TEST_F(HttpGatewayTest, ChargesFindsAndPaysBack) {
  start();
  const Outcome captured = ask(charge(1));
  EXPECT_EQ(captured.kind, OutcomeKind::done);
  EXPECT_TRUE(captured.reference.starts_with("pi_"));
  EXPECT_EQ(ask(charge(1)), captured);
  EXPECT_EQ(ask(find(1)), captured);
  EXPECT_EQ(ask(close(1)), captured);
  auto back = refund(1);
  back.reference = captured.reference;
  const Outcome refunded = ask(back);
  EXPECT_EQ(refunded.kind, OutcomeKind::done);
  EXPECT_EQ(ask(back), refunded);
  back.key += ".2";
  EXPECT_EQ(ask(back).kind, OutcomeKind::refused);
  EXPECT_TRUE(process_->terminate());
}

TEST_F(HttpGatewayTest, ClosesAKeySoThatItNeverCharges) {
  start();
  EXPECT_EQ(ask(find(1)).kind, OutcomeKind::not_found);
  EXPECT_EQ(ask(close(1)).kind, OutcomeKind::closed);
  EXPECT_EQ(ask(charge(1)).kind, OutcomeKind::closed);
  EXPECT_EQ(ask(find(1)).kind, OutcomeKind::closed);
  EXPECT_TRUE(captured_keys().empty());
}

TEST_F(HttpGatewayTest, TellsEveryMethodOfTheSandboxApart) {
  start();
  EXPECT_EQ(ask(charge(1, "pm_decline")).kind, OutcomeKind::refused);
  EXPECT_EQ(ask(find(1)).kind, OutcomeKind::refused);
  EXPECT_EQ(ask(charge(2, "pm_fail_1")).kind, OutcomeKind::transient);
  EXPECT_EQ(ask(charge(2, "pm_fail_1")).kind, OutcomeKind::done);
  EXPECT_EQ(ask(charge(3, "pm_drop_reply")).kind, OutcomeKind::unknown);
  EXPECT_EQ(ask(find(3)).kind, OutcomeKind::done);
  EXPECT_EQ(ask(charge(4, "pm_delay_20")).kind, OutcomeKind::done);
  EXPECT_EQ(ask(charge(5, "pm_nonsense")).kind, OutcomeKind::refused);
  EXPECT_EQ(ask(charge(6, "pm_reject")).kind, OutcomeKind::permanent);
  EXPECT_EQ(ask(charge(7, "pm_closed")).kind, OutcomeKind::closed);
  EXPECT_EQ(ask(charge(8, "pm_busy")).kind, OutcomeKind::unavailable);
  auto other = charge(2, "pm_fail_1");
  other.amount.minor_units += 1;
  EXPECT_EQ(ask(other).kind, OutcomeKind::permanent);
}

TEST_F(HttpGatewayTest, MeetsTheFaultsOfTheProcess) {
  start({.decline = 1});
  EXPECT_EQ(ask(charge(1)).kind, OutcomeKind::refused);
  gateway_.reset();
  ASSERT_TRUE(process_->terminate());
  start({.fail = 1});
  EXPECT_EQ(ask(charge(2)).kind, OutcomeKind::transient);
  gateway_.reset();
  ASSERT_TRUE(process_->terminate());
  start({.drop_reply = 1});
  EXPECT_EQ(ask(charge(3)).kind, OutcomeKind::unknown);
  EXPECT_EQ(ask(find(3)).kind, OutcomeKind::done);
}

TEST_F(HttpGatewayTest, HoldsTenThousandChargesInFlight) {
  constexpr std::size_t kCharges = 10'000;
  if (net::raise_descriptor_limit() < kCharges + 200) GTEST_SKIP() << "too few descriptors";
  start({.latency = domain::Duration::milliseconds(500)});
  std::vector<ports::GatewayRequest> requests;
  for (std::size_t n = 0; n < kCharges; ++n) requests.push_back(charge(n));
  std::set<std::uint64_t> captured;
  while (!requests.empty()) {
    gateway_->submit(requests, kNow);
    const std::vector<ports::GatewayReply> replies = take(requests.size());
    ASSERT_EQ(replies.size(), requests.size());
    requests.clear();
    for (const ports::GatewayReply& reply : replies) {
      // On a machine that is busy enough a connection may not come about in time.
      if (reply.outcome.kind == OutcomeKind::unavailable) {
        requests.push_back(charge(reply.ticket));
        continue;
      }
      EXPECT_EQ(reply.outcome.kind, OutcomeKind::done);
      EXPECT_TRUE(captured.insert(reply.ticket).second) << "two replies";
    }
  }
  EXPECT_EQ(captured.size(), kCharges);
  EXPECT_EQ(captured_keys().size(), kCharges);
}

TEST_F(HttpGatewayTest, ResolvesWhatWasInFlightWhenTheGatewayWasKilled) {
  constexpr std::uint64_t kCharges = 400;
  start({.latency = domain::Duration::milliseconds(1), .concurrency = 4});
  std::vector<ports::GatewayRequest> requests;
  for (std::uint64_t n = 0; n < kCharges; ++n) requests.push_back(charge(n));
  gateway_->submit(requests, kNow);
  std::vector<ports::GatewayReply> replies = take(kCharges / 4);
  process_->kill();
  const std::vector<ports::GatewayReply> rest = take(kCharges - replies.size());
  replies.insert(replies.end(), rest.begin(), rest.end());
  ASSERT_EQ(replies.size(), kCharges);
  gateway_.reset();

  start_process();
  connect(process_->url());
  const std::set<std::string> captured = captured_keys();
  for (const ports::GatewayReply& reply : replies) {
    const bool is_captured = captured.contains(charge(reply.ticket).key);
    if (reply.outcome.kind == OutcomeKind::done) {
      EXPECT_TRUE(is_captured) << "an answer without its line";
    } else {
      EXPECT_TRUE(reply.outcome.kind == OutcomeKind::unknown ||
                  reply.outcome.kind == OutcomeKind::unavailable);
    }
    const OutcomeKind now = ask(close(reply.ticket)).kind;
    EXPECT_EQ(now, is_captured ? OutcomeKind::done : OutcomeKind::closed);
    if (reply.outcome.kind == OutcomeKind::unavailable) {
      EXPECT_EQ(now, OutcomeKind::closed);
    }
  }
}

TEST_F(HttpGatewayTest, IsUnknownAfterTheTimeoutAndCapturedOnceLater) {
  start_process();
  connect(process_->url(), std::chrono::milliseconds(100));
  EXPECT_EQ(ask(charge(1, "pm_delay_2500")).kind, OutcomeKind::unknown);
  gateway_.reset();
  connect(process_->url());
  // Arrives behind the first one and so is decided behind it.
  EXPECT_EQ(ask(charge(1, "pm_delay_2500")).kind, OutcomeKind::done);
  EXPECT_EQ(captured_keys().size(), 1u);
}

TEST_F(HttpGatewayTest, IsUnavailableWhereNobodyListens) {
  start();
  process_->kill();
  EXPECT_EQ(ask(charge(1)).kind, OutcomeKind::unavailable);
}

TEST_F(HttpGatewayTest, IsUnavailableBeyondWhatMayBeInFlight) {
  start_process({.latency = domain::Duration::milliseconds(50)});
  auto opened =
      HttpGateway::open({.url = process_->url(), .max_in_flight = 2, .wake = [this] { wake(); }});
  ASSERT_TRUE(opened);
  gateway_ = std::move(*opened);
  std::vector<ports::GatewayRequest> requests = {charge(1), charge(2), charge(3)};
  gateway_->submit(requests, kNow);
  std::map<std::uint64_t, OutcomeKind> kinds;
  for (const auto& reply : take(3)) kinds[reply.ticket] = reply.outcome.kind;
  EXPECT_EQ(kinds.at(1), OutcomeKind::done);
  EXPECT_EQ(kinds.at(2), OutcomeKind::done);
  EXPECT_EQ(kinds.at(3), OutcomeKind::unavailable);
  // An answered request leaves its place.
  for (std::uint64_t n = 4; n < 10; ++n) EXPECT_EQ(ask(charge(n)).kind, OutcomeKind::done) << n;
}

TEST_F(HttpGatewayTest, PassesCorrelationAndTraceOn) {
  auto request = charge(1);
  request.correlation = *domain::CorrelationId::parse("corr-1");
  request.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto seen = sent_for(request);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->target, "/prefix/v1/payment_intents");
  EXPECT_EQ(seen->headers.find("X-Correlation-Id"), "corr-1");
  EXPECT_EQ(seen->headers.find("traceparent"), request.traceparent);
  EXPECT_EQ(seen->headers.find("Idempotency-Key"), request.key);
}

TEST_F(HttpGatewayTest, NamesAKeyAsOneSegmentOfThePath) {
  const std::string path = "/prefix/v1/payment_intents/by-key/" + find(1).order.str() + "%2Fcharge";
  const auto found = sent_for(find(1));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->target, path);
  const auto closed = sent_for(close(1));
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->target, path + "/cancel");
}

TEST_F(HttpGatewayTest, NamesThePaymentThatARefundIsOf) {
  auto request = refund(1);
  request.reference = "pi_1";
  const auto seen = sent_for(request);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->target, "/prefix/v1/refunds");
  EXPECT_NE(seen->body.find("&payment_intent=pi_1&charge_key="), std::string::npos) << seen->body;
}

TEST(HttpGateway, DoesNotOpenOnABadUrl) {
  for (const char* url : {"", "127.0.0.1:9100", "ftp://host/", "http://user@host/",
                          "http://host/?key=1", "http://host:0/"}) {
    EXPECT_FALSE(HttpGateway::open({.url = url})) << url;
  }
}

}  // namespace
}  // namespace penstock::gateway_http
