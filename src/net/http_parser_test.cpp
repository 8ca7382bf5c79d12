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

}  // namespace
}  // namespace penstock::net
