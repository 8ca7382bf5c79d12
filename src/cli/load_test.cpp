#include <atomic>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/bench.h"
#include "cli/latency_histogram.h"
#include "cli/load_engine.h"
#include "cli/load_socket.h"
#include "cli/order_template.h"
#include "net/http_server.h"
#include "net/json.h"

namespace penstock::cli {
namespace {

TEST(LatencyHistogram, a_percentile_is_within_two_percent_of_the_exact_one) {
  LatencyHistogram histogram;
  std::vector<std::int64_t> values;
  std::mt19937_64 random(7);
  for (int index = 0; index < 20'000; ++index) {
    auto const value =
        static_cast<std::int64_t>(std::exp(static_cast<double>(random() % 200) / 10));
    values.push_back(value);
    histogram.add(value);
  }
  std::sort(values.begin(), values.end());
  for (double const percent : {1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    auto const rank = static_cast<std::size_t>(std::ceil(percent / 100 * 20'000)) - 1;
    auto const exact = static_cast<double>(values.at(rank));
    auto const told = static_cast<double>(histogram.percentile_us(percent));
    EXPECT_GE(told, exact) << percent;
    EXPECT_LE(told, exact * 1.02 + 1) << percent;
  }
  EXPECT_EQ(histogram.percentile_us(100), values.back());
}

TEST(LatencyHistogram, small_values_are_exact_and_the_extremes_are_held) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile_us(50), 0);
  histogram.add(-5);
  histogram.add(3);
  histogram.add(63);
  EXPECT_EQ(histogram.percentile_us(1), 0);
  EXPECT_EQ(histogram.percentile_us(60), 3);
  histogram.add(INT64_MAX);
  EXPECT_EQ(histogram.maximum_us(), 3'600'000'000);
  EXPECT_EQ(histogram.count(), 4U);
}

TEST(OrderTemplate, each_request_is_a_whole_order_with_its_own_key) {
  OrderTemplate const order({.authority = "h:1", .admin_key = "", .run = "run7"});
  std::string request;
  std::set<std::string> keys;
  for (std::uint64_t number : {0U, 1U, 4'000'000U}) {
    order.fill({.order = number, .tenant = 3, .product = 42}, request);
    std::size_t const head = request.find("\r\n\r\n");
    ASSERT_NE(head, std::string::npos);
    std::string const body = request.substr(head + 4);
    EXPECT_NE(request.find("Content-Length: " + std::to_string(body.size())), std::string::npos);
    auto const document = net::JsonDocument::parse(body);
    ASSERT_TRUE(document) << body;
    keys.insert(std::string(*document->root().find("idempotency_key")->as_string()));
    EXPECT_EQ(*document->root().find("tenant_id")->as_string(), OrderTemplate::tenant_name(3));
    auto const item = *document->root().find("items")->items().begin();
    EXPECT_EQ(*item.find("product_id")->as_string(), OrderTemplate::product_name(42));
  }
  EXPECT_EQ(keys.size(), 3U);
  EXPECT_TRUE(keys.contains("run7-000004000000"));
}

TEST(EndedPerSecond, is_read_between_marks_in_proportion) {
  std::vector<LoadMark> const marks{{.at_seconds = 0, .ended = 100},
                                    {.at_seconds = 1, .ended = 200},
                                    {.at_seconds = 2, .ended = 600}};
  EXPECT_DOUBLE_EQ(ended_per_second(marks, 0, 1), 100);
  EXPECT_DOUBLE_EQ(ended_per_second(marks, 0.5, 1.5), 250);
  EXPECT_DOUBLE_EQ(ended_per_second(marks, 2, 3), 0);
  EXPECT_DOUBLE_EQ(ended_per_second(marks, 1, 1), 0);
  EXPECT_DOUBLE_EQ(ended_per_second({}, 0, 1), 0);
}

/// An HTTP server that takes orders as Penstock does, and counts.
class CountingServer {
 public:
  CountingServer() : server_({}) {
    EXPECT_TRUE(server_.start([this](net::HttpRequest&& request, net::Responder responder) {
      answer(request, std::move(responder));
    }));
  }
  ~CountingServer() { server_.stop(); }
  CountingServer(const CountingServer&) = delete;
  CountingServer& operator=(const CountingServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }
  int orders() const { return orders_; }
  int puts() const { return puts_; }
  void refuse_every(int nth) { refuse_every_ = nth; }
  void drop_every(int nth) { drop_every_ = nth; }

 private:
  void answer(const net::HttpRequest& request, net::Responder responder) {
    constexpr const char* kOrder = "01a204d0-3e7f-73fb-a356-f3020bece7a0";
    net::HttpResponse response{.status = 200, .content_type = "application/json"};
    if (request.method == net::HttpMethod::put) {
      ++puts_;
    } else if (request.path() == "/queues") {
      response.body = R"({"active":0,"ended":{"fulfilled":)" + std::to_string(accepted_) +
                      R"(,"rejected":0,"cancelled":0}})";
    } else if (request.method == net::HttpMethod::get) {
      response.body = R"({"status":"fulfilled","updated_at":"2100-01-01T00:00:00.000000Z"})";
    } else {
      int const number = ++orders_;
      if (drop_every_ > 0 && number % drop_every_ == 0) return responder.abandon();
      bool const refused = refuse_every_ > 0 && number % refuse_every_ == 0;
      response.status = refused ? 429 : 202;
      if (!refused) {
        ++accepted_;
        response.headers.push_back({"Location", std::string("/orders/") + kOrder});
      }
    }
    responder.send(std::move(response));
  }

  std::atomic<int> orders_{0};
  std::atomic<int> accepted_{0};
  std::atomic<int> puts_{0};
  std::atomic<int> refuse_every_{0};
  std::atomic<int> drop_every_{0};
  net::HttpServer server_;
};

LoadOptions load_of(const CountingServer& server) {
  return {.target = *resolve_target(server.url()),
          .admin_key = "",
          .run = "t",
          .connections = 4,
          .duration_seconds = 0,
          .orders = 200,
          .tenants = 3,
          .products = 5,
          .sampled_share = 0.1,
          .settle_seconds = 60};
}

TEST(LoadEngine, prepares_contracts_and_stock_then_sends_each_order_once) {
  CountingServer server;
  LoadEngine engine(load_of(server));
  EXPECT_EQ(engine.prepare(), std::nullopt);
  EXPECT_EQ(server.puts(), 3 + 3 * 5);
  LoadResult const result = engine.run([](const LoadMark&) {});
  EXPECT_EQ(server.orders(), 200);
  EXPECT_EQ(result.sent, 200U);
  EXPECT_EQ(result.accepted, 200U);
  EXPECT_EQ(result.accept.count(), 200U);
  EXPECT_EQ(result.end_to_end.count(), 20U);
  EXPECT_TRUE(result.settled);
  EXPECT_EQ(result.marks.front().ended, 0U);
  EXPECT_EQ(result.marks.back().ended, 200U);
}

TEST(LoadEngine, an_open_loop_sends_on_time_and_counts_refusals_by_status) {
  CountingServer server;
  server.refuse_every(4);
  LoadOptions options = load_of(server);
  options.rate = 2000;
  options.sampled_share = 0;
  LoadEngine engine(options);
  LoadResult const result = engine.run([](const LoadMark&) {});
  EXPECT_EQ(result.sent, 200U);
  EXPECT_EQ(result.accepted, 150U);
  EXPECT_EQ(result.refused.at(429), 50U);
  EXPECT_GE(result.load_seconds, 199.0 / 2000);
}

TEST(LoadEngine, an_open_loop_leaves_no_order_out_that_was_meant_to_start_in_time) {
  CountingServer server;
  LoadOptions options = load_of(server);
  options.orders = 0;
  options.duration_seconds = 0.2;
  // More than one connection carries: most of them start late.
  options.connections = 1;
  options.rate = 50'000;
  LoadEngine engine(options);
  LoadResult const result = engine.run([](const LoadMark&) {});
  EXPECT_EQ(result.sent, 10'000U);
  EXPECT_EQ(result.accepted, 10'000U);
}

TEST(LoadEngine, an_order_whose_connection_breaks_is_counted_as_unanswered) {
  CountingServer server;
  server.drop_every(50);
  LoadEngine engine(load_of(server));
  LoadResult const result = engine.run([](const LoadMark&) {});
  EXPECT_EQ(result.unanswered, 4U);
  EXPECT_EQ(result.accepted, 196U);
}

TEST(LoadEngine, a_server_that_is_not_there_is_told_by_prepare) {
  std::string url;
  {
    CountingServer server;
    url = server.url();
  }
  LoadEngine engine({.target = *resolve_target(url), .admin_key = "", .connections = 2});
  EXPECT_NE(engine.prepare(), std::nullopt);
}

TEST(ResolveTarget, refuses_what_is_no_http_url) {
  EXPECT_FALSE(resolve_target("https://127.0.0.1:1"));
  EXPECT_FALSE(resolve_target("nonsense"));
}

}  // namespace
}  // namespace penstock::cli
