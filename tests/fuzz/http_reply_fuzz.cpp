// The client's reply parser: however an answer's bytes are cut into reads, the same comes out of
// them, within its limits.

#include <string>
#include <string_view>

#include "net/http_parser.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using penstock::fuzz::DerivedChoice;
using penstock::net::HttpMethod;
using penstock::net::HttpParseProgress;
using penstock::net::HttpReply;
using penstock::net::HttpReplyParser;

constexpr HttpReplyParser::Limits kLimits = {.head_bytes = 512, .body_bytes = 256};

struct Reading {
  HttpParseProgress::Status status = HttpParseProgress::Status::need_more;
  HttpReply reply;
  bool keep_alive = false;
  std::size_t used = 0;
};

/// Reads one answer as a connection does, the stream's end included.
template <typename NextPiece>
Reading read_in_pieces(std::string_view bytes, HttpMethod method, NextPiece next_piece) {
  HttpReplyParser parser(kLimits);
  parser.start(method);
  Reading reading;
  std::size_t arrived = 0;
  while (arrived < bytes.size() && reading.status == HttpParseProgress::Status::need_more) {
    arrived = std::min(bytes.size(), arrived + next_piece());
    const auto progress = parser.feed(bytes.substr(reading.used, arrived - reading.used));
    FUZZ_CHECK(progress.consumed <= arrived - reading.used, "no more is used up than was given");
    reading.status = progress.status;
    reading.used += progress.consumed;
    FUZZ_CHECK(arrived - reading.used <= kLimits.head_bytes ||
                   reading.status != HttpParseProgress::Status::need_more,
               "what waits for more is bounded");
  }
  const bool before_the_end = reading.status == HttpParseProgress::Status::complete;
  if (reading.status == HttpParseProgress::Status::need_more) {
    reading.status = parser.feed_end().status;
    FUZZ_CHECK(reading.status != HttpParseProgress::Status::need_more, "the end decides");
  }
  if (reading.status == HttpParseProgress::Status::complete) {
    reading.keep_alive = before_the_end && parser.keep_alive();
    reading.reply = parser.take();
  } else {
    FUZZ_CHECK(parser.error() != HttpReplyParser::Error::none, "a refusal says why");
  }
  return reading;
}

void check_same(const Reading& one, const Reading& other) {
  FUZZ_CHECK(one.status == other.status, "a split changes nothing: accepted or not");
  if (one.status != HttpParseProgress::Status::complete) return;
  FUZZ_CHECK(one.used == other.used && one.keep_alive == other.keep_alive,
             "a split changes nothing: the end");
  FUZZ_CHECK(one.reply.status == other.reply.status && one.reply.body == other.reply.body &&
                 one.reply.headers.size() == other.reply.headers.size(),
             "a split changes nothing: the reply");
  for (std::size_t field = 0; field < one.reply.headers.size(); ++field) {
    FUZZ_CHECK(one.reply.headers.name(field) == other.reply.headers.name(field) &&
                   one.reply.headers.value(field) == other.reply.headers.value(field),
               "a split changes nothing: a field");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  DerivedChoice choice(bytes);
  for (const HttpMethod method : {HttpMethod::post, HttpMethod::head}) {
    const Reading whole = read_in_pieces(bytes, method, [&] { return bytes.size(); });
    if (whole.status == HttpParseProgress::Status::complete) {
      FUZZ_CHECK(whole.reply.body.size() <= kLimits.body_bytes, "the body's limit holds");
      FUZZ_CHECK(whole.reply.status >= 100 && whole.reply.status <= 999, "a status of 3 digits");
      FUZZ_CHECK(whole.reply.status / 100 != 1 || whole.reply.status == 101,
                 "interim answers are passed over");
      FUZZ_CHECK(method != HttpMethod::head || whole.reply.body.empty(), "HEAD has no body");
      for (std::size_t field = 0; field < whole.reply.headers.size(); ++field) {
        FUZZ_CHECK(penstock::net::is_token(whole.reply.headers.name(field)) &&
                       penstock::net::is_valid_header_value(whole.reply.headers.value(field)),
                   "fields are fields");
      }
    }
    check_same(whole, read_in_pieces(bytes, method, [] { return std::size_t{1}; }));
    check_same(whole,
               read_in_pieces(bytes, method, [&] { return std::size_t{1 + choice.below(40)}; }));
  }
  return 0;
}
