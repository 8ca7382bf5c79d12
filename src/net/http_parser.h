#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "net/http_head_check.h"
#include "net/http_message.h"

namespace penstock::net {

/// What a parser did with the bytes it was given.
struct HttpParseProgress {
  enum class Status : std::uint8_t { need_more, complete, failed };
  Status status = Status::need_more;
  /// Bytes that are used up; the rest must be given again, with more behind it.
  std::size_t consumed = 0;
};

/// Reads requests from a connection's bytes, one after another: own strict checks on the head
/// first (check_request_head), then Beast's parser; both must accept. Not thread-safe.
class HttpRequestParser {
 public:
  struct Limits {
    std::size_t head_bytes = std::size_t{16} * 1024;
    std::size_t head_fields = 100;
    std::size_t body_bytes = std::size_t{256} * 1024;
  };

  explicit HttpRequestParser(const Limits& limits);
  ~HttpRequestParser();
  HttpRequestParser(HttpRequestParser&&) = delete;

  /// Takes what it can of `bytes`. After `complete` call take(); after `failed` see error().
  HttpParseProgress feed(std::string_view bytes);
  /// Whether the head is in and the body is awaited.
  bool head_complete() const;
  /// The request as far as it has come in, until take().
  const HttpRequest& request() const;
  /// Forgets the request, and gives its memory back.
  void discard();
  /// True once a request: its head asks for "100 Continue" before it sends the body.
  bool take_continue_wish();
  /// Whether the connection may be used again after this request; asked before take().
  bool keep_alive() const;
  const HttpHeadError& error() const;
  /// The complete request; the parser is ready for the next one.
  HttpRequest take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads answers from a connection's bytes. Interim answers (1xx) are passed over. A head whose
/// status line ends behind the status, or whose lines end in a bare LF, is taken (RFC 9112
/// sections 2.2 and 4 let a recipient do so), and its connection is not used again. Not
/// thread-safe.
class HttpReplyParser {
 public:
  struct Limits {
    std::size_t head_bytes = std::size_t{32} * 1024;
    std::size_t body_bytes = std::size_t{1024} * 1024;
  };
  enum class Error : std::uint8_t { none, malformed, too_large };

  explicit HttpReplyParser(const Limits& limits);
  ~HttpReplyParser();
  HttpReplyParser(HttpReplyParser&&) = delete;

  /// Makes ready for the answer to a request of that method (HEAD's has no body).
  /// A body that is too large fails, or is kept as far as the limit goes and ends the answer.
  enum class LargeBody : std::uint8_t { fails, is_cut };
  void start(HttpMethod method, LargeBody large = LargeBody::fails);
  HttpParseProgress feed(std::string_view bytes);
  /// The peer has closed: completes an answer which ends so, fails any other.
  HttpParseProgress feed_end();
  bool keep_alive() const;
  Error error() const;
  /// Whether a final answer's head is in.
  bool has_status() const;
  /// The complete answer, or, once has_status(), what of it has come in.
  HttpReply take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::net
