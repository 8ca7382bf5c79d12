#include "net/http_message.h"

#include <string>

#include <gtest/gtest.h>

#include "net/http_response_text.h"

namespace penstock::net {
namespace {

constexpr std::string_view kDate = "Date: x\r\n";

TEST(HttpMessage, LooksHeadersUpInAnyCaseAndCountsRepeats) {
  const HttpHeaders headers{{.name = "Host", .value = "a"},
                            {.name = "X-Key", .value = "1"},
                            {.name = "x-key", .value = "2"}};
  EXPECT_EQ(headers.find("X-KEY"), "1");
  EXPECT_EQ(headers.count("x-Key"), 2U);
  EXPECT_EQ(headers.count("missing"), 0U);
  EXPECT_FALSE(headers.find("missing").has_value());
  EXPECT_EQ(headers.name(0), "Host");
}

TEST(HttpMessage, SplitsTheTarget) {
  HttpRequest request;
  request.target = "/orders?limit=5";
  EXPECT_EQ(request.path(), "/orders");
  EXPECT_EQ(request.query(), "limit=5");
  request.target = "/orders";
  EXPECT_EQ(request.query(), "");
}

TEST(HttpMessage, NamesMethodsAndStatuses) {
  EXPECT_EQ(parse_method("DELETE"), HttpMethod::delete_);
  EXPECT_EQ(parse_method("get"), HttpMethod::other);
  EXPECT_EQ(to_string(HttpMethod::post), "POST");
  EXPECT_EQ(reason_phrase(422), "Unprocessable Content");
  EXPECT_EQ(reason_phrase(299), "Unknown");
}

TEST(HttpResponseText, WritesAnAnswer) {
  HttpResponse response{.status = 202, .content_type = "application/json"};
  response.headers = {{.name = "Location", .value = "/orders/1"}};
  response.formatted_headers = "X: y\r\n";
  response.body = "{}";
  std::string out;
  append_response(response, {.date_line = kDate}, out);
  EXPECT_EQ(out,
            "HTTP/1.1 202 Accepted\r\nDate: x\r\nContent-Type: application/json\r\n"
            "Location: /orders/1\r\nX: y\r\nContent-Length: 2\r\n\r\n{}");
}

TEST(HttpResponseText, LeavesOutAHeaderWhichWouldBreakTheMessage) {
  HttpResponse response;
  response.headers = {{.name = "X", .value = "a\r\nSet-Cookie: b"}, {.name = "Y Z", .value = "c"}};
  std::string out;
  append_response(response, {.date_line = kDate}, out);
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 0\r\n\r\n");
}

TEST(HttpResponseText, NoContentHasNeitherLengthNorBody) {
  HttpResponse response{.status = 204};
  response.body = "x";
  std::string out;
  append_response(response, {.date_line = kDate, .keep_alive = false}, out);
  EXPECT_EQ(out, "HTTP/1.1 204 No Content\r\nDate: x\r\nConnection: close\r\n\r\n");
}

TEST(HttpResponseText, FormatsTheDateAsHttpDoes) {
  EXPECT_EQ(date_line(784111777), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
}

}  // namespace
}  // namespace penstock::net
