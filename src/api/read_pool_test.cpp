#include <atomic>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api_fixture.h"
#include "api/routes.h"
#include "api/wait_places.h"
#include "domain/limits.h"
#include "net/raw_connection.h"

namespace penstock::api {
namespace {

using testing::HasSubstr;

constexpr std::string_view kOrder =
    R"({"customer_id":"c","items":[{"product_id":"P","quantity":1,"price":1}]})";
/// Short, so that a test of what is late need not wait for long.
constexpr ReadPoolOptions kSoonLate{.deadline = std::chrono::milliseconds(20),
                                    .sweep = std::chrono::milliseconds(5)};

ApiOptions with_reads(ReadPoolOptions reads) {
  ApiOptions options;
  options.reads = reads;
  return options;
}

/// The token is the tenant's name.
class TokenIsTenant : public Authenticator {
 public:
  std::optional<Caller> authenticate(const net::HttpHeaders& headers) const override {
    const auto token = bearer_token(headers);
    if (!token) return std::nullopt;
    if (*token == "admin") return Caller{.kind = Caller::Kind::admin, .tenant = {}};
    return Caller{.kind = Caller::Kind::tenant,
                  .tenant = domain::TenantId::unchecked(std::string(*token))};
  }
};

std::string authorization(std::string_view key) {
  return "Authorization: Bearer " + std::string(key);
}

class ReadPoolTest : public ApiTest {
 protected:
  void store(std::uint64_t number, std::string tenant) {
    domain::Order order = placed_order(number);
    order.tenant = domain::TenantId::unchecked(std::move(tenant));
    reader_.replace({.order = order, .receipt = "{}", .deliveries = {}});
  }
  /// Requests on a connection of their own that stays open.
  std::unique_ptr<net::RawConnection> open(const std::vector<Sent>& requests) {
    auto connection = std::make_unique<net::RawConnection>(server_->port());
    std::string text;
    for (const Sent& each : requests) text += text_of(each, true);
    connection->send(text);
    return connection;
  }
  static std::string path(std::uint64_t number = 1, std::string_view rest = "") {
    return "/orders/" + order_id(number).str() + std::string(rest);
  }
  void TearDown() override {
    gate_.open();
    ApiTest::TearDown();
  }

  Gate gate_;
};

/// A request that fits the route, with an id of an order that is there.
Sent request_for(const Route& route, std::string& target) {
  target = route.pattern;
  if (const std::size_t hole = target.find("{id}"); hole != std::string::npos) {
    const bool is_order = target.contains("orders") || target.contains("dead-letters");
    target.replace(hole, 4, is_order ? order_id(1).str() : "PROD-001");
  }
  return {.method = net::to_string(route.method),
          .target = target,
          .body = route.method == net::HttpMethod::get ? std::string_view() : kOrder};
}

// For each route that there is or will be: while no read comes back, it is answered from memory, or
// after the deadline by 503. No route waits for the store.
TEST_F(ReadPoolTest, EveryRouteIsAnsweredWithoutTheStoreOrRefusedByTheDeadline) {
  reader_.before_read = [this] { gate_.pass(); };
  serve(with_reads(kSoonLate));
  store(1, "default");
  for (const Route& route : routes()) {
    std::string target;
    const Sent request = request_for(route, target);
    const Answer answer = send(request);
    SCOPED_TRACE(std::string(request.method) + " " + target);
    if (route.is_memory_only()) {
      EXPECT_NE(answer.status, 0);
      EXPECT_NE(answer.status, 503);
    } else {
      EXPECT_EQ(answer.status, 503);
      EXPECT_EQ(answer.member("code"), "temporarily-reduced-capacity");
      EXPECT_EQ(answer.header("Retry-After"), "1");
    }
  }
  EXPECT_GT(gate_.arrived(), 0U);
}

TEST_F(ReadPoolTest, WhileReadsHangProbesAndOrdersAndOperatorsAreAnswered) {
  reader_.before_find = [this](const domain::OrderId&) { gate_.pass(); };
  serve(with_reads({.read_threads = 2}));
  store(1, "default");
  const std::string order = path(1);
  const std::string events = path(1, "/events");
  const auto held = open({{.target = order}, {.target = events}});
  gate_.wait_for(1);
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  EXPECT_EQ(post("/orders", kOrder).status, 202);
  EXPECT_EQ(get("/queues").status, 200);
  EXPECT_EQ(get("/dead-letters").status, 200);
  EXPECT_THAT(get("/metrics").body, HasSubstr("penstock_pool_waiting{lane=\"reads\"} 1"));
  gate_.open();
  EXPECT_EQ(net::status_of_reply(held->read_reply()), 200);
  EXPECT_EQ(net::status_of_reply(held->read_reply()), 200);
}

TEST_F(ReadPoolTest, OneTenantsSlowReadsLeaveAThreadForAnothers) {
  const TokenIsTenant tenants;
  reader_.before_find = [this](const domain::OrderId& order) {
    if (order == order_id(1)) gate_.pass();
  };
  serve(with_reads({.read_threads = 3}), &tenants);
  store(1, "greedy");
  store(2, "good");
  const std::string slow_path = path(1);
  const Sent slow{.target = slow_path, .headers = {authorization("greedy")}};
  const auto first = open({slow, slow, slow, slow, slow, slow, slow, slow});
  const auto second = open({slow, slow, slow, slow, slow, slow, slow, slow});
  gate_.wait_for(2);
  for (int read = 0; read < 20; ++read) {
    EXPECT_EQ(send({.target = path(2), .headers = {authorization("good")}}).status, 200);
  }
  EXPECT_EQ(gate_.arrived(), 2U) << "of three threads one is left to others";
  gate_.open();
  for (int read = 0; read < 8; ++read) {
    EXPECT_EQ(net::status_of_reply(first->read_reply()), 200);
    EXPECT_EQ(net::status_of_reply(second->read_reply()), 200);
  }
}

TEST_F(ReadPoolTest, OneTenantsQueueIsBoundedAndAnothersHasRoom) {
  const TokenIsTenant tenants;
  reader_.before_find = [this](const domain::OrderId& order) {
    if (order == order_id(1)) gate_.pass();
  };
  serve({}, &tenants);
  store(1, "greedy");
  store(2, "good");
  const std::string slow_path = path(1);
  const Sent slow{.target = slow_path, .headers = {authorization("greedy")}};
  std::vector<std::unique_ptr<net::RawConnection>> held;
  constexpr std::size_t kPipelined = 4;  // as many reads as one connection has in the making
  for (std::size_t sent = 0; sent < ReadPool::kMaxReadsWaitingOfOne + 4 * kPipelined;
       sent += kPipelined) {
    held.push_back(open(std::vector(kPipelined, slow)));
  }
  gate_.wait_for(2);
  EXPECT_EQ(send({.target = path(2), .headers = {authorization("good")}}).status, 200);
  gate_.open();
  std::size_t answered = 0;
  std::size_t over = 0;
  for (const auto& connection : held) {
    for (std::size_t each = 0; each < kPipelined; ++each) {
      const std::string reply = connection->read_reply();
      answered += net::status_of_reply(reply) == 200 ? 1 : 0;
      if (net::status_of_reply(reply) != 503) continue;
      ++over;
      EXPECT_THAT(reply, HasSubstr("Retry-After: 1\r\n"));
    }
  }
  EXPECT_EQ(answered + over, held.size() * kPipelined);
  EXPECT_GT(over, 0U);
  const Answer metrics = send({.target = "/metrics", .headers = {authorization("admin")}});
  EXPECT_THAT(metrics.body, HasSubstr("penstock_pool_requests_total{lane=\"reads\",outcome="
                                      "\"refused\"} " +
                                      std::to_string(over)));
}

TEST_F(ReadPoolTest, WhatIsLateIsRefusedOnceAndThenDoesNothing) {
  reader_.before_find = [this](const domain::OrderId&) { gate_.pass(); };
  serve(with_reads(kSoonLate));
  store(1, "default");
  const Answer late = post(path(1, "/cancel"), "");
  EXPECT_EQ(late.status, 503);
  EXPECT_EQ(late.member("code"), "temporarily-reduced-capacity");
  gate_.open();
  // A later job of the same line runs behind it.
  while (get(path(1)).status != 200) {
  }
  EXPECT_EQ(intake_.submitted(), 0U) << "503 said that nothing was done";
}

TEST_F(ReadPoolTest, AReadThatThrowsIsRefusedAndTheServerGoesOn) {
  reader_.before_find = [](const domain::OrderId& order) {
    if (order == order_id(1)) throw std::bad_alloc();
    if (order == order_id(2)) throw 7;
  };
  serve({});
  store(3, "default");
  for (const std::uint64_t number : {1U, 2U}) {
    for (const std::string_view rest : {"", "/events", "/receipt", "/why"}) {
      const Answer answer = get(path(number, rest));
      EXPECT_EQ(answer.status, 503) << rest;
      EXPECT_EQ(answer.header("Retry-After"), "1");
    }
  }
  EXPECT_EQ(get(path(3)).status, 200);
  EXPECT_THAT(get("/metrics").body,
              HasSubstr("penstock_pool_requests_total{lane=\"reads\",outcome=\"failed\"} 8"));
}

TEST_F(ReadPoolTest, AnIntakeThatThrowsClosesTheConnectionAndTheServerGoesOn) {
  std::atomic<bool> fails{true};
  intake_.on_submit = [&](const pipeline::Request&) {
    if (fails) throw std::bad_alloc();
  };
  serve({});
  const std::string large(20'000, ' ');
  for (const std::string& body : {std::string(kOrder), std::string(kOrder) + large}) {
    EXPECT_EQ(post("/orders", body).status, 0) << "the outcome is unknown";
  }
  fails = false;
  EXPECT_EQ(post("/orders", kOrder).status, 202);
  EXPECT_THAT(get("/metrics").body, HasSubstr(R"(route="/orders",status="none"} 2)"));
}

TEST_F(ReadPoolTest, LargeBodiesAreReadInThePoolAndSmallOnesWhereTheyCameIn) {
  std::thread::id small_thread;
  std::thread::id large_thread;
  intake_.on_submit = [&](const pipeline::Request& request) {
    const auto* const place = std::get_if<pipeline::PlaceOrder>(&request);
    if (place == nullptr) return;
    (place->draft.customer.str() == "large" ? large_thread : small_thread) =
        std::this_thread::get_id();
  };
  std::thread::id io_thread;
  class Notes : public Authenticator {
   public:
    explicit Notes(std::thread::id& thread) : thread_(thread) {}
    std::optional<Caller> authenticate(const net::HttpHeaders&) const override {
      thread_ = std::this_thread::get_id();
      return Caller{.kind = Caller::Kind::open, .tenant = domain::TenantId::unchecked("default")};
    }

   private:
    std::thread::id& thread_;
  } notes(io_thread);
  serve({}, &notes);
  const std::string large = R"({"customer_id":"large","x":")" +
                            std::string(Api::kMaxBodyReadInPlace, 'x') +
                            R"(","items":[{"product_id":"P","quantity":1,"price":1}]})";
  EXPECT_EQ(post("/orders", large).status, 202);
  EXPECT_EQ(post("/orders", kOrder).status, 202);
  EXPECT_EQ(small_thread, io_thread);
  EXPECT_NE(large_thread, io_thread);
  EXPECT_NE(large_thread, std::thread::id());
}

TEST_F(ReadPoolTest, APageEndsAtItsBoundInBytesAndTheListGoesOn) {
  constexpr std::uint64_t kOrders = 60;
  for (std::uint64_t number = 1; number <= kOrders; ++number) {
    domain::Order order = placed_order(number);
    for (std::size_t pair = 0; pair < domain::limits::kMaxMetadataPairs; ++pair) {
      // Six bytes each as JSON.
      order.metadata.emplace_back("name" + std::to_string(pair), std::string(500, '\x01'));
    }
    order.status = domain::Status::cancelling;
    order.charge = domain::Charge::captured;
    order.dead_letter = domain::DeadLetter();
    reader_.replace({.order = order, .receipt = {}, .deliveries = {}});
  }
  std::size_t pages = 0;
  std::set<std::string> seen;
  for (std::string cursor; cursor != "null";) {
    const Answer page = get("/orders?limit=500" + (cursor.empty() ? "" : "&cursor=" + cursor));
    ASSERT_EQ(page.status, 200);
    EXPECT_LE(page.body.size(), domain::limits::kMaxPageBytes + 100'000);
    const auto document =
        net::JsonDocument::parse(page.body, {.max_bytes = 4 << 20, .max_depth = 16});
    ASSERT_TRUE(document.has_value());
    for (const net::JsonView order : document->root().find("orders")->items()) {
      EXPECT_TRUE(seen.emplace(*order.find("order_id")->as_string()).second);
    }
    cursor = document->root().find("next_cursor")->as_string().value_or("null");
    ++pages;
  }
  EXPECT_EQ(seen.size(), kOrders);
  EXPECT_GE(pages, 3U);
}

TEST(WaitPlaces, ATenantHasAsManyAsItMayAndWhatIsGivenBackCounts) {
  WaitPlaces places(2);
  auto first = places.take("a");
  const auto second = places.take("a");
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(places.take("a"));
  EXPECT_TRUE(places.take("b"));
  first.reset();
  EXPECT_TRUE(places.take("a"));
}

}  // namespace
}  // namespace penstock::api
