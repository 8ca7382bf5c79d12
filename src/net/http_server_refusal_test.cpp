// What the server refuses, over TCP: each case is one way to make two readers of the same bytes
// disagree about them, or to hold a connection for nothing.
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/http_server.h"
#include "net/json.h"
#include "net/raw_connection.h"

namespace penstock::net {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

class HttpServerRefusal : public testing::Test {
 protected:
  void serve(HttpServerLimits limits = {}) {
    limits.sweep_interval = 10ms;
    server = std::make_unique<HttpServer>(HttpServerOptions{.limits = limits});
    ASSERT_TRUE(server
                    ->start([this](HttpRequest&& request, Responder responder) {
                      ++handled;
                      responder.send({.status = 200, .body = std::move(request.body)});
                    })
                    .has_value());
  }

  /// The server's whole answer to the bytes, after which it must have closed.
  std::string answer(std::string_view bytes) const {
    RawConnection connection(server->port());
    connection.send(bytes);
    std::string reply = connection.read_to_end();
    EXPECT_TRUE(connection.ended());
    return reply;
  }

  static void expect_problem(const std::string& reply, int status, std::string_view code) {
    ASSERT_EQ(status_of_reply(reply), status) << reply;
    EXPECT_NE(reply.find("Connection: close\r\n"), std::string::npos);
    EXPECT_NE(reply.find("Content-Type: application/problem+json\r\n"), std::string::npos);
    const auto problem = JsonDocument::parse(body_of_reply(reply));
    ASSERT_TRUE(problem.has_value()) << reply;
    EXPECT_EQ(problem->root().find("status")->as_int64(), status);
    EXPECT_EQ(problem->root().find("code")->as_string(), code);
    EXPECT_TRUE(problem->root().find("title")->is_string());
    EXPECT_TRUE(problem->root().find("type")->is_string());
  }

  std::atomic<int> handled{0};
  std::unique_ptr<HttpServer> server;
};

struct Form {
  std::string what;
  std::string bytes;
};

std::vector<Form> smuggling_forms() {
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  const std::string tail = "\r\n\r\n0\r\n\r\n";
  std::vector<Form> forms = {
      {"both lengths", post + "Content-Length: 5\r\nTransfer-Encoding: chunked" + tail},
      {"both, reversed", post + "Transfer-Encoding: chunked\r\nContent-Length: 5" + tail},
      {"two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"},
      {"same length twice", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
      {"bare LF line", "POST / HTTP/1.1\r\nHost: a\nContent-Length: 0\r\n\r\n"},
      {"bare LF head", "GET / HTTP/1.1\nHost: a\n\n"},
      {"bare CR", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"},
      {"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"},
      {"NUL in value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"s},
      {"folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"},
      {"folded first", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"space before colon", post + "Content-Length : 5\r\n\r\nhello"},
      {"tab before colon", post + "Transfer-Encoding\t: chunked" + tail},
      {"empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"},
      {"no colon", "GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n"},
      {"name with bracket", "GET / HTTP/1.1\r\nHost: a\r\nX[]: b\r\n\r\n"},
      {"control in value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n"},
      {"delete in value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n"},
      {"no host", "GET / HTTP/1.1\r\n\r\n"},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
      {"other authority", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"authority form", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"star for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"relative target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"tab in request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"broken escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"high byte in target", "GET /\xC3\xA4 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"method not a token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"TLS to a plain port", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1"s},
      {"encoding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked" + tail},
  };
  for (const std::string length :
       {"+5", "-5", "5,5", "5, 5", "5 5", "0x5", "", "5.0", "5;", "\"5\"", "\v5"}) {
    forms.push_back({"length " + length, post + "Content-Length: " + length + "\r\n\r\nhello"});
  }
  for (const std::string coding :
       {"gzip", "identity", "chunked, chunked", "gzip, chunked", "xchunked", "chunked,",
        "\"chunked\"", "chunked;q=1", "", "chunked\v", "chunke\xC4\x91"}) {
    forms.push_back({"encoding " + coding, post + "Transfer-Encoding: " + coding + tail});
  }
  forms.push_back({"two encodings", post +
                                        "Transfer-Encoding: chunked\r\n"
                                        "Transfer-Encoding: chunked" +
                                        tail});
  for (const std::string body :
       {"5\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "-1\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n",
        "5 ;x\r\nhello\r\n0\r\n\r\n", "g\r\nhello\r\n0\r\n\r\n", "\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\rhello\r\n0\r\n\r\n",
        "11111111111111111\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", "5\r\nhello\r\n0\n\n"}) {
    forms.push_back({"chunks " + body, chunked + body});
  }
  return forms;
}

TEST_F(HttpServerRefusal, EverySmugglingFormIsAnswered400AndClosed) {
  serve();
  for (const Form& form : smuggling_forms()) {
    SCOPED_TRACE(form.what);
    // What follows in the same bytes must not be taken for a request.
    expect_problem(answer(form.bytes + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
                   "bad-request");
  }
  EXPECT_EQ(handled, 0);
}

TEST_F(HttpServerRefusal, AnotherHttpVersionIs505) {
  serve();
  expect_problem(answer("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505, "http-version");
  expect_problem(answer("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, "http-version");
}

TEST_F(HttpServerRefusal, AHeadThatIsTooLargeIs431) {
  serve({.head_bytes = 1024});
  expect_problem(answer("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"),
                 431, "header-too-large");
  expect_problem(answer("GET /" + std::string(5000, 'x')), 431, "header-too-large");
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 101; ++i) many += "A: b\r\n";
  expect_problem(answer(many + "\r\n"), 431, "header-too-large");
}

TEST_F(HttpServerRefusal, ABodyThatIsTooLargeIs413) {
  serve({.body_bytes = 10});
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  expect_problem(answer(post + "Content-Length: 11\r\n\r\n"), 413, "body-too-large");
  expect_problem(answer(post + "Content-Length: 99999999999999999999999\r\n\r\n"), 413,
                 "body-too-large");
  expect_problem(answer(post + "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n"), 413,
                 "body-too-large");
  expect_problem(answer(post + "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"),
                 413, "body-too-large");
  expect_problem(answer(post + "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n"),
                 413, "body-too-large");
  EXPECT_EQ(handled, 0);
}

TEST_F(HttpServerRefusal, AClientStillSendingSeesTheAnswer) {
  serve({.body_bytes = 10});
  RawConnection connection(server->port());
  connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
  const std::string block(100'000, 'x');
  for (int i = 0; i < 30; ++i) connection.send(block);
  expect_problem(connection.read_to_end(), 413, "body-too-large");
}

TEST_F(HttpServerRefusal, EarlierRequestsAreAnsweredBeforeARefusal) {
  serve();
  const std::string reply =
      answer("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nbroken\r\n\r\n");
  EXPECT_EQ(handled, 2);
  EXPECT_EQ(status_of_reply(reply), 200);
  const std::size_t last = reply.rfind("HTTP/1.1 ");
  expect_problem(reply.substr(last), 400, "bad-request");
}

TEST_F(HttpServerRefusal, ASlowHeadAndASlowBodyAre408) {
  serve({.head_timeout = 50ms, .body_timeout = 50ms});
  expect_problem(answer("GET / HT"), 408, "request-timeout");
  expect_problem(answer("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"), 408,
                 "request-timeout");
  EXPECT_EQ(handled, 0);
}

TEST_F(HttpServerRefusal, AnIdleConnectionIsClosedWithoutAWord) {
  serve({.idle_timeout = 50ms});
  EXPECT_EQ(answer(""), "");
  RawConnection used(server->port());
  used.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(status_of_reply(used.read_reply()), 200);
  EXPECT_EQ(used.read_to_end(), "");
  EXPECT_TRUE(used.ended());
}

TEST_F(HttpServerRefusal, AClientThatDoesNotReadIsClosed) {
  serve({.body_bytes = 4'000'000, .write_timeout = 50ms, .write_rate = 1'000'000'000});
  RawConnection connection(server->port());
  const std::string body(4'000'000, 'x');
  const std::string request =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n" + body;
  // The answers do not fit into the kernel's buffers, and nobody takes them out.
  while (connection.send(request)) {
  }
  SUCCEED();
}

}  // namespace
}  // namespace penstock::net
