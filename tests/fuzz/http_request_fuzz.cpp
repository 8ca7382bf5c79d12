// The server's request parser: however a connection's bytes are cut into reads, the same requests
// come out of them; and what is accepted has one framing that a second, naive reader finds too, so
// that no two readers of the same bytes can disagree about where a request ends.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_parser.h"
#include "net/url.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using penstock::fuzz::DerivedChoice;
using penstock::net::HttpParseProgress;
using penstock::net::HttpRequest;
using penstock::net::HttpRequestParser;

/// Small, so that inputs reach them.
constexpr HttpRequestParser::Limits kLimits = {
    .head_bytes = 512, .head_fields = 12, .body_bytes = 256};

struct Taken {
  HttpRequest request;
  bool keep_alive = false;
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct Reading {
  std::vector<Taken> taken;
  bool failed = false;
  int status = 0;
};

/// Feeds `bytes` in pieces as a connection does: what was not used up is given again, with more.
template <typename NextPiece>
Reading read_in_pieces(std::string_view bytes, NextPiece next_piece) {
  HttpRequestParser parser(kLimits);
  Reading reading;
  std::size_t used = 0;
  std::size_t arrived = 0;
  std::size_t begin = 0;
  while (arrived < bytes.size()) {
    arrived = std::min(bytes.size(), arrived + next_piece());
    while (used < arrived) {
      const HttpParseProgress progress = parser.feed(bytes.substr(used, arrived - used));
      FUZZ_CHECK(progress.consumed <= arrived - used, "no more is used up than was given");
      if (progress.status == HttpParseProgress::Status::failed) {
        reading.failed = true;
        reading.status = parser.error().status;
        FUZZ_CHECK(!parser.error().detail.empty(), "a refusal says why");
        return reading;
      }
      used += progress.consumed;
      if (progress.status == HttpParseProgress::Status::need_more) break;
      const bool keep_alive = parser.keep_alive();
      reading.taken.push_back(
          {.request = parser.take(), .keep_alive = keep_alive, .begin = begin, .end = used});
      begin = used;
    }
    FUZZ_CHECK(arrived - used <= kLimits.head_bytes + 2, "what waits for more is bounded");
  }
  return reading;
}

void check_same(const Reading& one, const Reading& other) {
  FUZZ_CHECK(one.failed == other.failed, "a split changes nothing: refused or not");
  FUZZ_CHECK(one.taken.size() == other.taken.size(), "a split changes nothing: requests");
  for (std::size_t i = 0; i < one.taken.size(); ++i) {
    const HttpRequest& a = one.taken[i].request;
    const HttpRequest& b = other.taken[i].request;
    FUZZ_CHECK(one.taken[i].end == other.taken[i].end, "a split changes nothing: the end");
    FUZZ_CHECK(one.taken[i].keep_alive == other.taken[i].keep_alive,
               "a split changes nothing: keep-alive");
    FUZZ_CHECK(a.method_text == b.method_text && a.target == b.target && a.body == b.body &&
                   a.minor_version == b.minor_version && a.headers.size() == b.headers.size(),
               "a split changes nothing: the request");
    for (std::size_t field = 0; field < a.headers.size(); ++field) {
      FUZZ_CHECK(a.headers.name(field) == b.headers.name(field) &&
                     a.headers.value(field) == b.headers.value(field),
                 "a split changes nothing: a field");
    }
  }
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

struct Chunked {
  std::string body;
  std::size_t size = 0;
};

/// RFC 9112 section 7.1 by the letter, but for any extension text behind ';' and any trailer line.
std::optional<Chunked> dechunk(std::string_view bytes) {
  Chunked result;
  std::size_t at = 0;
  while (true) {
    const std::size_t line_end = bytes.find("\r\n", at);
    if (line_end == std::string_view::npos) return std::nullopt;
    const std::string_view line = bytes.substr(at, line_end - at);
    const std::string_view digits = line.substr(0, line.find(';'));
    if (digits.empty() || digits.size() > 16) return std::nullopt;
    std::size_t size = 0;
    for (const char digit : digits) {
      if (hex_value(digit) < 0) return std::nullopt;
      size = size * 16 + static_cast<std::size_t>(hex_value(digit));
    }
    at = line_end + 2;
    if (size == 0) break;
    if (size > bytes.size() - at || bytes.substr(at + size, 2) != "\r\n") return std::nullopt;
    result.body += bytes.substr(at, size);
    at += size + 2;
  }
  while (true) {
    const std::size_t line_end = bytes.find("\r\n", at);
    if (line_end == std::string_view::npos) return std::nullopt;
    const bool empty_line = line_end == at;
    if (bytes.substr(at, line_end - at).find('\n') != std::string_view::npos) return std::nullopt;
    at = line_end + 2;
    if (empty_line) break;
  }
  result.size = at;
  return result;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

/// The fields that decide where a message ends, as a naive reader finds them.
struct Framing {
  std::vector<std::string> lengths;
  std::vector<std::string> encodings;
  std::size_t hosts = 0;
  std::size_t fields = 0;
};

Framing framing_of(std::string_view head) {
  Framing framing;
  std::size_t at = head.find("\r\n") + 2;
  while (at < head.size() - 2) {
    const std::size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end - at);
    const std::size_t colon = line.find(':');
    FUZZ_CHECK(colon != std::string_view::npos && colon > 0, "a field has a name");
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    const std::string name = lower(line.substr(0, colon));
    FUZZ_CHECK(name.find_first_of(" \t") == std::string::npos, "no space in a field's name");
    if (name == "content-length") framing.lengths.emplace_back(value);
    if (name == "transfer-encoding") framing.encodings.push_back(lower(value));
    framing.hosts += name == "host" ? 1 : 0;
    ++framing.fields;
    at = end + 2;
  }
  return framing;
}

void check_framing(const Taken& taken, std::string_view stream) {
  std::string_view bytes = stream.substr(taken.begin, taken.end - taken.begin);
  if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  const std::size_t head_size = bytes.find("\r\n\r\n") + 4;
  const std::string_view head = bytes.substr(0, head_size);
  const std::string_view rest = bytes.substr(head_size);
  for (std::size_t at = 0; at < head.size(); ++at) {
    FUZZ_CHECK(head[at] != '\0', "no NUL in a head");
    FUZZ_CHECK(head[at] != '\n' || head[at - 1] == '\r', "no LF alone in a head");
    FUZZ_CHECK(head[at] != '\r' || head[at + 1] == '\n', "no CR alone in a head");
  }
  const Framing framing = framing_of(head);
  const HttpRequest& request = taken.request;
  FUZZ_CHECK(framing.fields == request.headers.size(), "every field is one field");
  FUZZ_CHECK(framing.fields <= kLimits.head_fields && head.size() <= kLimits.head_bytes,
             "the head's limits hold");
  FUZZ_CHECK(request.body.size() <= kLimits.body_bytes, "the body's limit holds");
  FUZZ_CHECK(framing.lengths.size() + framing.encodings.size() <= 1, "one framing");
  FUZZ_CHECK(framing.hosts == 1 || (framing.hosts == 0 && request.minor_version == 0), "one Host");
  FUZZ_CHECK(request.target == "*" || penstock::net::is_valid_origin_form(request.target),
             "the target is in origin-form");
  if (framing.encodings.size() == 1) {
    FUZZ_CHECK(framing.encodings[0] == "chunked" && request.minor_version == 1, "chunked alone");
    const auto chunked = dechunk(rest);
    FUZZ_CHECK(chunked.has_value(), "chunks by the letter");
    FUZZ_CHECK(chunked->size == rest.size(), "chunks end where the request ends");
    FUZZ_CHECK(chunked->body == request.body, "chunks hold the body");
    return;
  }
  std::size_t length = 0;
  if (framing.lengths.size() == 1) {
    const std::string& digits = framing.lengths[0];
    FUZZ_CHECK(!digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos &&
                   digits.size() <= 18,
               "a length is digits");
    length = std::stoull(digits);
  }
  FUZZ_CHECK(rest.size() == length && rest == request.body, "the length says where the body ends");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Reading whole = read_in_pieces(bytes, [&] { return bytes.size(); });
  for (const Taken& taken : whole.taken) check_framing(taken, bytes);
  FUZZ_CHECK(!whole.failed || whole.status == 400 || whole.status == 413 || whole.status == 431 ||
                 whole.status == 505,
             "a refusal is one of four");
  check_same(whole, read_in_pieces(bytes, [] { return std::size_t{1}; }));
  DerivedChoice choice(bytes);
  for (int round = 0; round < 2; ++round) {
    check_same(whole, read_in_pieces(bytes, [&] { return std::size_t{1 + choice.below(40)}; }));
  }
  return 0;
}
