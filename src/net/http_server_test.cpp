#include "net/http_server.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/raw_connection.h"

namespace penstock::net {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Requests the handler took, for the test to answer when it likes.
class Inbox {
 public:
  struct Entry {
    HttpRequest request{};
    Responder responder{};
  };

  HttpHandler handler() {
    return [this](HttpRequest&& request, Responder responder) {
      const std::lock_guard lock(mutex_);
      entries_.push_back({.request = std::move(request), .responder = std::move(responder)});
      changed_.notify_all();
    };
  }

  /// The first `count` requests, once they have come.
  std::vector<Entry> take(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 60s, [&] { return entries_.size() >= count; });
    return std::exchange(entries_, {});
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Entry> entries_;
};

std::unique_ptr<HttpServer> serve(HttpHandler handler, HttpServerOptions options = {}) {
  options.limits.sweep_interval = 10ms;
  auto server = std::make_unique<HttpServer>(std::move(options));
  EXPECT_TRUE(server->start(std::move(handler)).has_value());
  return server;
}

void echo(HttpRequest&& request, Responder responder) {
  responder.send({.status = 200, .content_type = "text/plain", .body = std::move(request.body)});
}

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  const auto server = serve(echo);
  RawConnection connection(server->port());
  for (int i = 0; i < 3; ++i) {
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    const std::string reply = connection.read_reply();
    EXPECT_EQ(status_of_reply(reply), 200);
    EXPECT_EQ(body_of_reply(reply), "hello");
    EXPECT_EQ(reply.find("Connection:"), std::string::npos);
    EXPECT_NE(reply.find("\r\nDate: "), std::string::npos);
  }
}

TEST(HttpServer, HandsTheWholeRequestOver) {
  Inbox inbox;
  const auto server = serve(inbox.handler());
  RawConnection connection(server->port());
  connection.send(
      "\r\nPUT http://a/x/y?q=1 HTTP/1.1\r\nhost: a\r\nX-One:  1 \r\nx-one: 2\r\n"
      "Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n");
  auto entries = inbox.take(1);
  ASSERT_EQ(entries.size(), 1U);
  const HttpRequest& request = entries[0].request;
  EXPECT_EQ(request.method, HttpMethod::put);
  EXPECT_EQ(request.path(), "/x/y");
  EXPECT_EQ(request.query(), "q=1");
  EXPECT_EQ(request.headers.find("X-ONE"), "1");
  EXPECT_EQ(request.headers.count("x-one"), 2U);
  EXPECT_FALSE(request.headers.find("T").has_value());
  EXPECT_EQ(request.body, "abcde");
  EXPECT_EQ(request.peer_address, "127.0.0.1");
  EXPECT_EQ(server->requests_in_flight(), 1U);
  entries[0].responder.send({.status = 204});
  EXPECT_EQ(status_of_reply(connection.read_reply()), 204);
}

TEST(HttpServer, ReadsARequestThatComesByteByByte) {
  const auto server = serve(echo);
  RawConnection connection(server->port());
  const std::string request =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (const char c : request) ASSERT_TRUE(connection.send({&c, 1}));
  EXPECT_EQ(body_of_reply(connection.read_reply()), "hello");
}

TEST(HttpServer, TakesABodyUpToItsLimit) {
  const auto server = serve(echo);
  RawConnection connection(server->port());
  const std::string body(HttpServerLimits().body_bytes, 'x');
  connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
                  "\r\n\r\n" + body);
  EXPECT_EQ(body_of_reply(connection.read_reply()), body);
}

TEST(HttpServer, AnswersPipelinedRequestsInOrderWhateverTheOrderOfCompletion) {
  Inbox inbox;
  const auto server = serve(inbox.handler());
  RawConnection connection(server->port());
  std::string requests;
  for (int i = 0; i < 20; ++i) {
    requests += "PUT /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  connection.send(requests);
  auto entries = inbox.take(20);
  ASSERT_EQ(entries.size(), 20U);
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    entry->responder.send({.status = 200, .body = entry->request.target});
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(body_of_reply(connection.read_reply()), "/" + std::to_string(i));
  }
}

TEST(HttpServer, StopsReadingWhenTooManyRequestsAreUnanswered) {
  Inbox inbox;
  const auto server = serve(inbox.handler(), {.limits = {.pipelined_requests = 4}});
  RawConnection connection(server->port());
  std::string requests;
  for (int i = 0; i < 12; ++i) requests += kGet;
  connection.send(requests);
  std::size_t answered = 0;
  while (answered < 12) {
    auto entries = inbox.take(4);
    ASSERT_EQ(entries.size(), 4U);
    EXPECT_EQ(server->requests_in_flight(), 4U);
    for (auto& entry : entries) entry.responder.send({});
    for (int i = 0; i < 4; ++i) EXPECT_EQ(status_of_reply(connection.read_reply()), 200);
    answered += 4;
  }
}

TEST(HttpServer, IsAnsweredFromOtherThreadsInBulk) {
  Inbox inbox;
  const auto server = serve(inbox.handler(), {.threads = 2});
  std::vector<RawConnection> connections;
  constexpr std::size_t kConnections = 50;
  constexpr int kRounds = 20;
  connections.reserve(kConnections);
  for (std::size_t i = 0; i < kConnections; ++i) connections.emplace_back(server->port());
  std::thread answerer([&] {
    for (std::size_t answered = 0; answered < kConnections * kRounds;) {
      auto entries = inbox.take(1);
      if (entries.empty()) return;
      answered += entries.size();
      for (auto& entry : entries) {
        entry.responder.send({.status = 200, .body = std::move(entry.request.body)});
      }
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < kConnections; ++i) {
      connections[i].send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n" +
                          std::to_string(10 + i));
    }
    for (std::size_t i = 0; i < kConnections; ++i) {
      EXPECT_EQ(body_of_reply(connections[i].read_reply()), std::to_string(10 + i));
    }
  }
  answerer.join();
  EXPECT_EQ(server->requests_in_flight(), 0U);
}

TEST(HttpServer, AnAbandonedRequestClosesTheConnectionWithoutAnAnswer) {
  Inbox inbox;
  const auto server = serve(inbox.handler());
  for (const bool destroyed : {false, true}) {
    RawConnection connection(server->port());
    connection.send(std::string(kGet) + std::string(kGet));
    auto entries = inbox.take(2);
    ASSERT_EQ(entries.size(), 2U);
    if (destroyed) {
      entries[1].responder = Responder();
    } else {
      entries[1].responder.abandon();
    }
    entries[0].responder.send({.status = 200, .body = "first"});
    const std::string reply = connection.read_to_end();
    EXPECT_TRUE(connection.ended());
    EXPECT_EQ(body_of_reply(reply), "first");
  }
}

TEST(HttpServer, AHandlerThatThrowsAbandonsItsRequest) {
  const auto server = serve([](HttpRequest&&, Responder) { throw 1; });
  RawConnection connection(server->port());
  connection.send(kGet);
  EXPECT_EQ(connection.read_to_end(), "");
  EXPECT_TRUE(connection.ended());
}

TEST(HttpServer, ClosesAfterConnectionCloseAndForOldClients) {
  const auto server = serve(echo);
  for (const std::string_view request :
       {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    RawConnection connection(server->port());
    connection.send(request);
    const std::string reply = connection.read_to_end();
    EXPECT_TRUE(connection.ended());
    EXPECT_EQ(status_of_reply(reply), 200);
    EXPECT_NE(reply.find("Connection: close\r\n"), std::string::npos);
  }
  RawConnection kept(server->port());
  for (int i = 0; i < 2; ++i) {
    kept.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(kept.read_reply().find("Connection: keep-alive\r\n"), std::string::npos);
  }
}

TEST(HttpServer, HeadGetsTheLengthAndNoBody) {
  const auto server = serve(
      [](HttpRequest&&, Responder responder) { responder.send({.status = 200, .body = "12345"}); });
  RawConnection connection(server->port());
  connection.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string reply = connection.read_to_end();
  EXPECT_NE(reply.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_EQ(body_of_reply(reply), "");
}

TEST(HttpServer, TellsAClientToContinue) {
  const auto server = serve(echo);
  RawConnection connection(server->port());
  connection.send(
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(connection.read_reply(), "HTTP/1.1 100 Continue\r\n\r\n");
  connection.send("hello");
  EXPECT_EQ(body_of_reply(connection.read_reply()), "hello");
}

TEST(HttpServer, AClientThatEndsItsSideStillGetsItsAnswer) {
  Inbox inbox;
  const auto server = serve(inbox.handler());
  RawConnection connection(server->port());
  connection.send(kGet);
  connection.end_sending();
  auto entries = inbox.take(1);
  ASSERT_EQ(entries.size(), 1U);
  entries[0].responder.send({.status = 200, .body = "late"});
  EXPECT_EQ(body_of_reply(connection.read_to_end()), "late");
  EXPECT_TRUE(connection.ended());
}

TEST(HttpServer, StreamsABodyInChunks) {
  Inbox inbox;
  const auto server = serve(inbox.handler());
  RawConnection connection(server->port());
  connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  auto entries = inbox.take(1);
  ASSERT_EQ(entries.size(), 1U);
  HttpStream stream = entries[0].responder.stream({.content_type = "text/event-stream"});
  EXPECT_TRUE(stream.is_open());
  EXPECT_NE(connection.read_reply().find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_TRUE(stream.write("data: 1\n\n"));
  stream.end();
  EXPECT_EQ(connection.read_to_end(), "9\r\ndata: 1\n\n\r\n0\r\n\r\n");
}

TEST(HttpServer, AStreamLearnsThatItsClientHasGone) {
  Inbox inbox;
  const auto server = serve(inbox.handler());
  HttpStream stream;
  {
    RawConnection connection(server->port());
    connection.send(kGet);
    auto entries = inbox.take(1);
    ASSERT_EQ(entries.size(), 1U);
    stream = entries[0].responder.stream({.content_type = "text/event-stream"});
    connection.read_reply();
  }
  while (stream.write("data: x\n\n")) std::this_thread::yield();
  EXPECT_FALSE(stream.is_open());
}

TEST(HttpServer, AStreamThatNobodyReadsIsCutOff) {
  Inbox inbox;
  const auto server = serve(inbox.handler(), {.limits = {.output_bytes = 10'000}});
  RawConnection connection(server->port());
  connection.send(kGet);
  auto entries = inbox.take(1);
  ASSERT_EQ(entries.size(), 1U);
  HttpStream stream = entries[0].responder.stream({});
  while (stream.write(std::string(5000, 'x'))) std::this_thread::yield();
  EXPECT_FALSE(stream.is_open());
}

TEST(HttpServer, WhileItClosesItAcceptsAnswersAndSaysThatItCloses) {
  const auto server = serve(echo, {.limits = {.closing_idle_timeout = 1h}});
  RawConnection kept(server->port());
  kept.send(kGet);
  EXPECT_EQ(kept.read_reply().find("Connection:"), std::string::npos);
  server->begin_close();
  RawConnection late(server->port());
  for (const RawConnection* connection : {&kept, &late}) connection->send(kGet);
  for (RawConnection* connection : {&kept, &late}) {
    const std::string reply = connection->read_to_end();
    EXPECT_EQ(status_of_reply(reply), 200);
    EXPECT_NE(reply.find("Connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(connection->ended());
  }
}

TEST(HttpServer, WhileItClosesEveryRequestThatWasTakenIsAnswered) {
  Inbox inbox;
  const auto server = serve(inbox.handler(), {.limits = {.closing_idle_timeout = 1h}});
  RawConnection connection(server->port());
  connection.send(std::string(kGet) + std::string(kGet) + std::string(kGet));
  auto entries = inbox.take(3);
  ASSERT_EQ(entries.size(), 3U);
  server->begin_close();
  for (auto& entry : entries) entry.responder.send({.status = 204});
  const std::string replies = connection.read_to_end();
  std::size_t answers = 0;
  for (std::size_t at = replies.find("204"); at != std::string::npos; ++answers) {
    at = replies.find("204", at + 1);
  }
  EXPECT_EQ(answers, 3U);
  EXPECT_GT(replies.find("Connection: close\r\n"), replies.rfind("204"));
}

TEST(HttpServer, WhileItClosesIdleConnectionsEndInOrder) {
  const auto server = serve(echo, {.limits = {.closing_idle_timeout = 20ms}});
  RawConnection connection(server->port());
  connection.send(kGet);
  EXPECT_EQ(status_of_reply(connection.read_reply()), 200);
  server->begin_close();
  EXPECT_EQ(connection.read_to_end(), "");
  EXPECT_TRUE(connection.ended());
}

TEST(HttpServer, WhoHasConnectedBeforeItStopsAcceptingIsServed) {
  const auto server = serve(echo, {.limits = {.closing_idle_timeout = 1h}});
  std::vector<RawConnection> connected;
  for (int i = 0; i < 50; ++i) connected.emplace_back(server->port());
  server->stop_accepting();
  for (const RawConnection& connection : connected) connection.send(kGet);
  for (RawConnection& connection : connected) {
    EXPECT_EQ(status_of_reply(connection.read_to_end()), 200);
  }
}

TEST(HttpServer, OnceItStopsAcceptingOpenConnectionsAreServedAndClosed) {
  const auto server = serve(echo, {.limits = {.closing_idle_timeout = 1h}});
  RawConnection open(server->port());
  open.send(kGet);
  EXPECT_EQ(status_of_reply(open.read_reply()), 200);
  server->stop_accepting();
  open.send(kGet);
  const std::string reply = open.read_to_end();
  EXPECT_EQ(status_of_reply(reply), 200);
  EXPECT_NE(reply.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(open.ended());
  EXPECT_EQ(RawConnection(server->port()).read_to_end(), "");
}

TEST(HttpServer, StoppingAbandonsWhatIsUnansweredAndOutlivesItsResponders) {
  Inbox inbox;
  std::vector<Inbox::Entry> entries;
  {
    const auto server = serve(inbox.handler(), {.threads = 2});
    RawConnection connection(server->port());
    connection.send(kGet);
    entries = inbox.take(1);
    ASSERT_EQ(entries.size(), 1U);
    server->stop();
    EXPECT_EQ(connection.read_to_end(), "");
    EXPECT_TRUE(connection.ended());
    EXPECT_EQ(server->connections(), 0U);
    server->stop();
  }
  entries[0].responder.send({});
}

TEST(HttpServer, SaysWhyItCannotListen) {
  const auto server = serve(echo);
  HttpServer same_port({.port = server->port()});
  EXPECT_EQ(same_port.start(echo).error(), HttpServerError::address_in_use);
  HttpServer no_address({.address = "localhost"});
  EXPECT_EQ(no_address.start(echo).error(), HttpServerError::invalid_address);
}

}  // namespace
}  // namespace penstock::net
