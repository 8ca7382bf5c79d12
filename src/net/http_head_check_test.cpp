#include "net/http_head_check.h"

#include <string>

#include <gtest/gtest.h>

namespace penstock::net {
namespace {

int status_of(const std::string& head) {
  const auto checked = check_request_head(head + "\r\n", 100);
  return checked ? 200 : checked.error().status;
}

TEST(HttpHeadCheck, TakesPlainRequests) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\n"), 200);
  EXPECT_EQ(status_of("POST /orders?x=1 HTTP/1.1\r\nhost: a:9000\r\nContent-Length: 5\r\n"), 200);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nHost: [::1]:1\r\nTransfer-Encoding: chunked\r\n"), 200);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n"), 200);
  EXPECT_EQ(status_of("OPTIONS * HTTP/1.1\r\nHost: a\r\n"), 200);
  EXPECT_EQ(status_of("GET http://a:80/x HTTP/1.1\r\nHost: a:80\r\n"), 200);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \xC3\xA4\tb\r\n"), 200);
}

TEST(HttpHeadCheck, RefusesVersionsItDoesNotSpeak) {
  EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: a\r\n"), 505);
  EXPECT_EQ(status_of("GET / HTTP/1.2\r\nHost: a\r\n"), 505);
  EXPECT_EQ(status_of("GET / HTTP/0.9\r\nHost: a\r\n"), 505);
  EXPECT_EQ(status_of("GET / HTTP/11\r\nHost: a\r\n"), 400);
  EXPECT_EQ(status_of("GET / http/1.1\r\nHost: a\r\n"), 400);
  EXPECT_EQ(status_of("GET /\r\nHost: a\r\n"), 400);
}

TEST(HttpHeadCheck, CountsFields) {
  std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 99; ++i) head += "X: y\r\n";
  EXPECT_EQ(status_of(head), 200);
  EXPECT_EQ(status_of(head + "X: y\r\n"), 431);
}

TEST(HttpHeadCheck, FindsTheHeadsEndWhateverTheReads) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
  HttpHeadScanner scanner;
  for (std::size_t size = 1; size < text.size() - 4; ++size) {
    ASSERT_EQ(scanner.scan(std::string_view(text).substr(0, size)),
              HttpHeadScanner::Verdict::need_more);
  }
  EXPECT_EQ(scanner.scan(text), HttpHeadScanner::Verdict::complete);
  EXPECT_EQ(scanner.head_size(), text.size() - 4);
}

TEST(HttpHeadCheck, SeesABadLineEndAtOnce) {
  for (const std::string& text :
       {std::string("GET / HTTP/1.1\n"), std::string("GET /\rX"), std::string("GE\0T", 4)}) {
    HttpHeadScanner scanner;
    EXPECT_EQ(scanner.scan(text), HttpHeadScanner::Verdict::malformed) << text;
  }
}

TEST(HttpHeadCheck, TakesThePathOutOfAnAbsoluteTarget) {
  EXPECT_EQ(origin_form("http://a:80/x?y"), "/x?y");
  EXPECT_EQ(origin_form("http://a"), "/");
  EXPECT_EQ(origin_form("/x"), "/x");
}

}  // namespace
}  // namespace penstock::net
