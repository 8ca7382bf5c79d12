// What one client, or one address, can take from all others: connections, bytes of requests and
// of answers, time. Bounds are small here, so that they are met without much memory.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/http_server.h"
#include "net/raw_connection.h"

namespace penstock::net {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kSmall = "GET /small HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kLarge = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kHeld = "GET /held HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr const char* kNeighbour = "127.0.0.2";
/// More than the kernel's buffers take of an answer that nobody reads.
constexpr std::size_t kLargeBytes = std::size_t{12} * 1024 * 1024;

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

template <typename Condition>
bool comes_true(Condition condition) {
  for (int i = 0; i < 6'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

/// /large has kLargeBytes, /held is answered when the test says so; everything else at once.
class HttpServerBounds : public testing::Test {
 protected:
  ~HttpServerBounds() override {
    if (server) server->stop();
  }

  void serve(HttpServerLimits limits) {
    limits.sweep_interval = 10ms;
    limits.trouble_quiet = 50ms;
    HttpServerOptions options{.limits = limits};
    options.trouble = [this](HttpServerTrouble trouble, bool begins) {
      const std::lock_guard lock(mutex);
      told += std::string(to_string(trouble)) + (begins ? "+ " : "- ");
    };
    server = std::make_unique<HttpServer>(options);
    ASSERT_TRUE(server
                    ->start([this](HttpRequest&& request, Responder responder) {
                      answer(std::move(request), std::move(responder));
                    })
                    .has_value());
  }

  void answer(HttpRequest&& request, Responder responder) {
    ++handled;
    if (request.target == "/held") {
      const std::lock_guard lock(mutex);
      held.push_back(std::move(responder));
      return;
    }
    const bool large = request.target == "/large";
    responder.send({.body = large ? std::string(kLargeBytes, 'x') : "small"});
  }

  std::size_t held_requests() {
    const std::lock_guard lock(mutex);
    return held.size();
  }
  void answer_held() {
    const std::lock_guard lock(mutex);
    for (Responder& responder : held) responder.send({});
    held.clear();
  }
  std::string told_so_far() {
    const std::lock_guard lock(mutex);
    return told;
  }
  int status(RawConnection& connection, std::string_view request = kSmall) const {
    connection.send(request);
    return status_of_reply(connection.read_reply());
  }
  /// What the server does for anybody who comes now.
  int status_for(const char* from, std::string_view request = kSmall) const {
    RawConnection connection(server->port(), from);
    return status(connection, request);
  }
  std::vector<RawConnection> idle_connections(std::size_t count, const char* from) const {
    std::vector<RawConnection> connections;
    for (std::size_t i = 0; i < count; ++i) {
      connections.emplace_back(server->port(), from);
      EXPECT_EQ(status(connections.back()), 200) << i;
    }
    return connections;
  }

  std::mutex mutex;
  std::vector<Responder> held;
  std::string told;
  std::atomic<std::size_t> handled{0};
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerBounds, ReadsOfOneConnectionWaitTheirTurn) {
  serve({.pipelined_reads = 2});
  RawConnection connection(server->port());
  connection.send(repeated(kHeld, 10));
  for (int turn = 0; turn < 5; ++turn) {
    ASSERT_TRUE(comes_true([&] { return held_requests() == 2; })) << turn;
    EXPECT_EQ(server->requests_in_flight(), 2U);
    answer_held();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(status_of_reply(connection.read_reply()), 200);
  }
  EXPECT_EQ(handled, 10U);
}

TEST_F(HttpServerBounds, LargeAnswersOfAPipelineAreMadeOneAfterAnother) {
  serve({.pipelined_reads = 3});
  RawConnection connection(server->port());
  connection.send(repeated(kLarge, 64));
  ASSERT_TRUE(comes_true([&] { return handled >= 3; }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(status_for(kNeighbour), 200);
  EXPECT_EQ(handled, 3U + 20U) << "no further one before the client has taken what is ready";
  std::size_t most = 0;
  for (int i = 0; i < 64; ++i) {
    const std::string reply = connection.read_reply();
    ASSERT_EQ(status_of_reply(reply), 200) << i;
    ASSERT_EQ(body_of_reply(reply).size(), kLargeBytes) << i;
    most = std::max(most, server->usage().answer_bytes);
  }
  EXPECT_LE(most, 4 * kLargeBytes + 1024 * 1024);
  EXPECT_TRUE(comes_true([&] { return server->usage().answer_bytes == 0; }));
}

TEST_F(HttpServerBounds, RequestsBehindAWaitingOneAreAnsweredAfterTheClientHasEndedItsSide) {
  serve({.pipelined_reads = 1});
  RawConnection connection(server->port());
  connection.send(repeated(kHeld, 3));
  connection.end_sending();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(comes_true([&] { return held_requests() == 1; })) << i;
    answer_held();
    EXPECT_EQ(status_of_reply(connection.read_reply()), 200);
  }
}

TEST_F(HttpServerBounds, AnswersThatNobodyTakesAreBoundedForAllAndOthersAreServed) {
  constexpr std::size_t kRoom = 4 * kLargeBytes;
  serve({.answer_room_bytes = kRoom});
  std::vector<RawConnection> greedy;
  for (int i = 0; i < 12; ++i) {
    greedy.emplace_back(server->port());
    greedy.back().send(kLarge);
  }
  ASSERT_TRUE(comes_true([&] { return handled == 12; }));
  ASSERT_TRUE(comes_true([&] { return server->usage().refused_answers > 0; }));
  EXPECT_LE(server->usage().answer_bytes, kRoom);
  EXPECT_EQ(status_for("127.0.0.1"), 200) << "a small answer";
  RawConnection neighbour(server->port(), kNeighbour);
  EXPECT_EQ(status(neighbour, kLarge), 200) << "what an address leaves is for others";
  int refused = 0;
  for (RawConnection& connection : greedy) {
    const std::string reply = connection.read_reply();
    if (status_of_reply(reply) == 200) continue;
    ++refused;
    EXPECT_EQ(status_of_reply(reply), 503);
    EXPECT_NE(reply.find("Retry-After: "), std::string::npos);
    EXPECT_NE(reply.find("too-many-answer-bytes"), std::string::npos);
  }
  EXPECT_EQ(refused, static_cast<int>(server->usage().refused_answers));
  EXPECT_TRUE(comes_true([&] { return server->usage().answer_bytes == 0; }));
  EXPECT_EQ(status_for("127.0.0.1", kLarge), 200);
  EXPECT_TRUE(comes_true([&] { return told_so_far() == "answer_bytes+ answer_bytes- "; }))
      << told_so_far();
}

TEST_F(HttpServerBounds, UnfinishedBodiesAreBoundedForAllAndAnAddress) {
  constexpr std::size_t kRoom = 2'000'000;
  serve({.request_room_bytes = kRoom});
  const std::string half(100'000, 'x');
  const std::string begun = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + half;
  std::vector<RawConnection> greedy;
  for (int i = 0; i < 60; ++i) {
    greedy.emplace_back(server->port());
    greedy.back().send(begun);
  }
  ASSERT_TRUE(comes_true([&] { return server->usage().refused_requests > 20; }));
  EXPECT_LE(server->usage().request_bytes, kRoom / 2 + 200'000);
  EXPECT_EQ(status_for("127.0.0.1"), 200);
  EXPECT_EQ(status_for("127.0.0.1", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
            200);
  RawConnection neighbour(server->port(), kNeighbour);
  neighbour.send(begun);
  EXPECT_EQ(status(neighbour, half), 200);
  // Those that have their place go on; the others were told, and closed.
  int served = 0;
  for (RawConnection& connection : greedy) {
    connection.send(half);
    const std::string reply = connection.read_reply();
    if (status_of_reply(reply) == 200) {
      ++served;
      continue;
    }
    EXPECT_EQ(status_of_reply(reply), 503);
    EXPECT_NE(reply.find("Retry-After: "), std::string::npos);
    EXPECT_NE(reply.find("Connection: close\r\n"), std::string::npos);
    EXPECT_NE(reply.find("too-many-request-bytes"), std::string::npos);
  }
  EXPECT_GT(served, 0);
  greedy.clear();
  EXPECT_TRUE(comes_true([&] { return server->usage().request_bytes == 0; }))
      << server->usage().request_bytes << " bytes of " << server->connections() << " connections";
  EXPECT_EQ(status_for("127.0.0.1", begun + half), 200);
  EXPECT_TRUE(comes_true([&] { return told_so_far().ends_with("request_bytes- "); }));
}

TEST_F(HttpServerBounds, UnfinishedHeadsCountAsWell) {
  serve({.head_bytes = 64 * 1024, .request_room_bytes = 1'000'000});
  const std::string begun = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(50'000, 'x');
  std::vector<RawConnection> greedy;
  for (int i = 0; i < 40; ++i) {
    greedy.emplace_back(server->port());
    greedy.back().send(begun);
  }
  EXPECT_TRUE(comes_true([&] { return server->usage().refused_requests > 20; }));
  EXPECT_LE(server->usage().request_bytes, 700'000U);
  EXPECT_EQ(status_for("127.0.0.1"), 200);
}

TEST_F(HttpServerBounds, BodiesOfOneConnectionThatAreNotAnsweredAreBounded) {
  serve({.pipelined_body_bytes = 150'000});
  RawConnection connection(server->port());
  const std::string post = "POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" +
                           std::string(100'000, 'x');
  std::thread sender([&] { connection.send(repeated(post, 6)); });
  for (std::size_t answered = 0; answered < 6;) {
    ASSERT_TRUE(comes_true([&] { return held_requests() > 0; }));
    const std::size_t now = held_requests();
    EXPECT_LE(now, 2U);
    answer_held();
    for (std::size_t i = 0; i < now; ++i) EXPECT_EQ(status_of_reply(connection.read_reply()), 200);
    answered += now;
  }
  sender.join();
}

TEST_F(HttpServerBounds, TheConnectionThatWasIdleLongestGivesWay) {
  serve({.connections = 4, .connections_per_address = 4});
  auto idle = idle_connections(4, "127.0.0.1");
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(status(idle[0]), 200);
  RawConnection next(server->port());
  EXPECT_EQ(status(next), 200);
  EXPECT_EQ(server->connections(), 4U);
  EXPECT_EQ(server->usage().gave_way, 1U);
  EXPECT_EQ(status(idle[0]), 200) << "used last";
}

TEST_F(HttpServerBounds, AnAddressWithManyIdleConnectionsGivesWayToOthers) {
  serve({.connections = 10, .connections_per_address = 10});
  const auto neighbours = idle_connections(2, "127.0.0.3");
  const auto greedy = idle_connections(8, "127.0.0.1");
  auto good = idle_connections(3, kNeighbour);
  EXPECT_EQ(server->usage().gave_way, 3U);
  EXPECT_EQ(server->connections(), 10U);
  for (RawConnection& connection : good) EXPECT_EQ(status(connection), 200);
}

TEST_F(HttpServerBounds, OneAddressGetsNineTenthsAtMost) {
  serve({.connections = 20});
  RawConnection busy(server->port());
  busy.send(kHeld);
  ASSERT_TRUE(comes_true([&] { return held_requests() == 1; }));
  auto greedy = idle_connections(40, "127.0.0.1");
  EXPECT_EQ(server->connections(), 18U);
  EXPECT_EQ(status(greedy.back()), 200);
  EXPECT_EQ(idle_connections(2, kNeighbour).size(), 2U);
  EXPECT_EQ(server->usage().refused_connections, 0U);
  answer_held();
  EXPECT_EQ(status_of_reply(busy.read_reply()), 200) << "a served request gives way to nobody";
}

TEST_F(HttpServerBounds, UnfinishedRequestsGiveWayToAnAddressThatHasFewerConnections) {
  serve({.connections = 10, .connections_per_address = 10});
  std::vector<RawConnection> dripping;
  for (int i = 0; i < 10; ++i) {
    dripping.emplace_back(server->port());
    dripping.back().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nh");
  }
  ASSERT_TRUE(comes_true([&] { return server->connections() == 10; }));
  EXPECT_EQ(status_for(kNeighbour), 200);
}

TEST_F(HttpServerBounds, WhereAllConnectionsAreServedANewOneIsRefused) {
  serve({.connections = 2});
  std::vector<RawConnection> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back(server->port());
    busy.back().send(kHeld);
  }
  ASSERT_TRUE(comes_true([&] { return held_requests() == 2; }));
  const std::string reply = RawConnection(server->port(), kNeighbour).read_to_end();
  EXPECT_EQ(status_of_reply(reply), 503);
  EXPECT_NE(reply.find("Retry-After: 1\r\n"), std::string::npos);
  EXPECT_NE(reply.find("Connection: close\r\n"), std::string::npos);
  EXPECT_NE(reply.find("too-many-connections"), std::string::npos);
  answer_held();
  for (RawConnection& connection : busy) {
    EXPECT_EQ(status_of_reply(connection.read_reply()), 200);
    EXPECT_EQ(status(connection), 200);
  }
  EXPECT_TRUE(comes_true([&] { return told_so_far() == "connections+ connections- "; }));
}

TEST_F(HttpServerBounds, WhoTakesAnAnswerByteByByteGetsNoMoreTime) {
  serve({.write_timeout = 50ms, .write_rate = 1'000'000'000});
  RawConnection connection(server->port());
  connection.send(kLarge);
  std::size_t taken = 0;
  while (!connection.ended()) {
    taken += connection.read_some(1).size();
    if (server->connections() == 0) break;
  }
  EXPECT_LT(taken, kLargeBytes);
  EXPECT_TRUE(comes_true([&] { return server->usage().answer_bytes == 0; }));
  EXPECT_EQ(server->usage().timeouts, 1U);
}

TEST_F(HttpServerBounds, WithoutDescriptorsItGoesOnAsSoonAsItCan) {
  serve({});
  auto idle = idle_connections(1, "127.0.0.1");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // The next free descriptor is the last one: the client takes it, and the server has none.
  const int next = dup(0);
  close(next);
  const rlimit tight{.rlim_cur = static_cast<rlim_t>(next) + 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  RawConnection waiting(server->port());
  const int served = status(waiting);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(served, 200) << "what was idle made room";
  EXPECT_EQ(idle[0].read_to_end(), "");
  EXPECT_TRUE(idle[0].ended());
  EXPECT_GE(server->usage().failed_accepts, 1U);
  EXPECT_TRUE(comes_true([&] { return told_so_far() == "accepting+ accepting- "; }));
}

}  // namespace
}  // namespace penstock::net
