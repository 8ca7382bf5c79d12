// Answers of servers that are not like ours: what is taken, and how long is waited for them.
#include <chrono>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_client.h"

namespace penstock::net {
namespace {

using namespace std::chrono_literals;

/// Takes one connection, reads a head, and writes these bytes; then closes or stays silent.
class OneAnswer {
 public:
  enum class Then : std::uint8_t { close, silence, drip };

  OneAnswer(std::string answer, Then then)
      : listener_(socket(AF_INET, SOCK_STREAM, 0)), answer_(std::move(answer)), then_(then) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    listen(listener_, 1);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;
  ~OneAnswer() {
    thread_.join();
    close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  void serve() const {
    const int client = accept(listener_, nullptr, nullptr);
    std::string head;
    char byte = 0;
    while (!head.ends_with("\r\n\r\n") && recv(client, &byte, 1, 0) == 1) head += byte;
    ::send(client, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    if (then_ == Then::drip) {
      while (::send(client, "x", 1, MSG_NOSIGNAL) == 1) std::this_thread::sleep_for(5ms);
    }
    // The client closes once it has what it wants, or has waited long enough.
    if (then_ == Then::silence) recv(client, &byte, 1, 0);
    ::close(client);
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::string answer_;
  Then then_;
  std::thread thread_;
};

using Then = OneAnswer::Then;

HttpClientResult ask(const std::string& answer, Then then, ReplyBody body = ReplyBody::needed,
                     std::chrono::milliseconds timeout = 60s) {
  const OneAnswer server(answer, then);
  HttpClient client({.reply_body_bytes = 1000});
  HttpClientResult result =
      client.call({.url = server.url(), .timeout = timeout, .reply_body = body});
  client.stop();
  return result;
}

TEST(HttpClientReply, AnUnusualHeadIsTaken) {
  for (const std::string_view answer :
       {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 103\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: trailer\r\n\r\n"}) {
    const auto result = ask(std::string(answer), Then::silence);
    ASSERT_TRUE(result.has_value()) << answer << ": " << to_string(result.error());
    EXPECT_EQ(result->status, 200) << answer;
    EXPECT_EQ(result->body, "ok") << answer;
  }
}

TEST(HttpClientReply, AnAnswerWithoutALengthEndsWithItsConnection) {
  for (const std::string_view head : {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200\n\n"}) {
    const auto result = ask(std::string(head) + "ok", Then::close);
    ASSERT_TRUE(result.has_value()) << head;
    EXPECT_EQ(result->body, "ok");
  }
}

TEST(HttpClientReply, A204HasNoBodyWhateverFollows) {
  const auto result = ask("HTTP/1.1 204\r\n\r\nsurplus", Then::silence);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->status, 204);
  EXPECT_EQ(result->body, "");
}

TEST(HttpClientReply, WhatIsNoHttpIsMalformed) {
  for (const std::string_view answer :
       {"HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n", "\n\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\n\n"}) {
    const auto result = ask(std::string(answer), Then::silence);
    ASSERT_FALSE(result.has_value()) << answer;
    EXPECT_EQ(result.error(), HttpClientError::malformed_response) << answer;
  }
}

TEST(HttpClientReply, ALargeBodyIsAnErrorWhereItIsNeeded) {
  const std::string body(20'000, 'x');
  const auto result = ask("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + body, Then::silence);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error(), HttpClientError::response_too_large);
}

TEST(HttpClientReply, WhereTheBodyIsOptionalTheStatusIsTheAnswer) {
  const std::string large(20'000, 'x');
  const struct {
    std::string rest;
    Then then;
  } answers[] = {
      {"Content-Length: 20000\r\n\r\n" + large, Then::silence},
      {"Transfer-Encoding: chunked\r\n\r\n4e20\r\n" + large + "\r\n0\r\n\r\n", Then::silence},
      {"\r\n" + large, Then::close},
      {"Content-Length: 100\r\n\r\ncut", Then::close},
      {"Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n", Then::silence},
      {"Content-Length: 900000000000\r\n\r\n", Then::close},
  };
  for (const auto& [rest, then] : answers) {
    const auto result = ask("HTTP/1.1 202 Accepted\r\n" + rest, then, ReplyBody::optional);
    ASSERT_TRUE(result.has_value()) << rest.substr(0, 60) << to_string(result.error());
    EXPECT_EQ(result->status, 202);
    EXPECT_LE(result->body.size(), 1000U);
  }
}

TEST(HttpClientReply, APeerThatDripsIsEndedByTheTotalTimeout) {
  const auto body =
      ask("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", Then::drip, ReplyBody::needed, 200ms);
  ASSERT_FALSE(body.has_value());
  EXPECT_EQ(body.error(), HttpClientError::timeout);
  const auto head = ask("HTTP/1.1 200 OK\r\nX: ", Then::drip, ReplyBody::optional, 200ms);
  ASSERT_FALSE(head.has_value());
  EXPECT_EQ(head.error(), HttpClientError::timeout);
  const auto status =
      ask("HTTP/1.1 500 No\r\nContent-Length: 999\r\n\r\n", Then::drip, ReplyBody::optional, 200ms);
  ASSERT_TRUE(status.has_value()) << "the status is known when time is up";
  EXPECT_EQ(status->status, 500);
}

}  // namespace
}  // namespace penstock::net
