#include "net/http_parser.h"

#include <string_view>

#include <gtest/gtest.h>

namespace penstock::net {
namespace {

using Status = HttpParseProgress::Status;

Status reply_status(std::string_view bytes) {
  HttpReplyParser parser({});
  parser.start(HttpMethod::get);
  return parser.feed(bytes).status;
}

TEST(HttpReplyParser, AStatusBeginsAtAHundred) {
  EXPECT_EQ(reply_status("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Status::complete);
  EXPECT_EQ(reply_status("HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n"), Status::complete);
  EXPECT_EQ(reply_status("HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"), Status::failed);
  EXPECT_EQ(reply_status("HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n"), Status::failed);
}

TEST(HttpReplyParser, AnEmptyChunkedBodyMayComeByteByByte) {
  const std::string_view bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  HttpReplyParser parser({});
  parser.start(HttpMethod::get);
  std::size_t used = 0;
  for (std::size_t arrived = 1; arrived <= bytes.size(); ++arrived) {
    const auto progress = parser.feed(bytes.substr(used, arrived - used));
    used += progress.consumed;
    EXPECT_EQ(progress.status, arrived == bytes.size() ? Status::complete : Status::need_more);
  }
  EXPECT_EQ(used, bytes.size());
}

TEST(HttpRequestParser, AnEmptyChunkedBodyMayComeByteByByte) {
  const std::string_view bytes =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  HttpRequestParser parser({});
  std::size_t used = 0;
  for (std::size_t arrived = 1; arrived <= bytes.size(); ++arrived) {
    const auto progress = parser.feed(bytes.substr(used, arrived - used));
    used += progress.consumed;
    EXPECT_EQ(progress.status, arrived == bytes.size() ? Status::complete : Status::need_more);
  }
  EXPECT_EQ(parser.take().body, "");
}

}  // namespace
}  // namespace penstock::net
