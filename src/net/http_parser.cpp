#include "net/http_parser.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/none.hpp>

namespace penstock::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;
using Status = HttpParseProgress::Status;

/// A declared length is only a claim: memory follows the bytes that really came.
constexpr std::uint64_t kMaxBodyReserve = std::uint64_t{4} * 1024;

std::string_view to_std(string_view text) {
  return {text.data(), text.size()};
}

/// The least that ends a chunked body: "0", an empty trailer section.
constexpr std::size_t kLastChunkBytes = std::string_view("0\r\n\r\n").size();

/// Beast's parser with the events written straight into a message of ours, which spares Beast's
/// own field container.
template <bool IsRequest, typename Message>
class MessageParser final : public http::basic_parser<IsRequest> {
 public:
  explicit MessageParser(Message& message) : message_(message) {}

  /// Keeps that much of the body, and drops the rest.
  void cut_body_at(std::size_t bytes) { kept_body_bytes_ = bytes; }
  bool is_body_cut() const { return body_cut_; }

  std::size_t put_text(std::string_view bytes, error_code& ec) {
    // Beast asserts these bytes when it looks at a body's first chunk again and that is its last.
    const bool first_chunk = head_done_ && this->chunked() && !any_chunk_;
    if (first_chunk && bytes.starts_with('0') && bytes.size() < kLastChunkBytes) {
      ec = http::error::need_more;
      return 0;
    }
    return this->put(boost::asio::const_buffer(bytes.data(), bytes.size()), ec);
  }

 private:
  void on_request_impl(http::verb, string_view method, string_view target, int version,
                       error_code&) override {
    if constexpr (IsRequest) {
      message_.method_text.assign(method.data(), method.size());
      message_.method = parse_method(message_.method_text);
      message_.target = origin_form(to_std(target));
      message_.minor_version = version - 10;
    }
  }
  void on_response_impl(int status, string_view, int, error_code& ec) override {
    // Beast takes any three digits; a status begins at 100 (RFC 9110 section 15).
    if (status < 100) ec = http::error::bad_status;
    if constexpr (!IsRequest) message_.status = status;
  }
  void on_field_impl(http::field, string_view name, string_view value, error_code&) override {
    // Trailers are dropped: merged into the headers they could change what was already decided.
    if (!head_done_) message_.headers.add(to_std(name), to_std(value));
  }
  void on_header_impl(error_code&) override { head_done_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (length) message_.body.reserve(std::min(*length, kMaxBodyReserve));
  }
  std::size_t on_body_impl(string_view body, error_code&) override {
    keep(body);
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view extensions, error_code& ec) override {
    any_chunk_ = true;
    // Beast lets white space stand where an extension could begin; a size line is digits, then
    // nothing or ";".
    if (!extensions.empty() && extensions.front() != ';') ec = http::error::bad_chunk_extension;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    keep(body);
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  void keep(string_view body) {
    const std::size_t room = kept_body_bytes_ - message_.body.size();
    body_cut_ = body_cut_ || body.size() > room;
    message_.body.append(body.data(), std::min(body.size(), room));
  }

  Message& message_;
  std::size_t kept_body_bytes_ = std::numeric_limits<std::size_t>::max();
  bool body_cut_ = false;
  bool head_done_ = false;
  bool any_chunk_ = false;
};

/// Where a head with any line ends ends, its empty line included; npos where it has not ended.
std::size_t head_end(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos;
       at = text.find('\n', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    if (rest.starts_with('\n')) return at + 2;
    if (rest.starts_with("\r\n")) return at + 3;
  }
  return std::string_view::npos;
}

/// "HTTP/1.1 200", without the space that should stand behind the status.
bool is_short_status_line(std::string_view line) {
  constexpr std::size_t kSize = std::string_view("HTTP/1.1 200").size();
  return line.size() == kSize && line.starts_with("HTTP/1.");
}

/// The same head, with every line as RFC 9112 wants it.
std::string strict_head(std::string_view head) {
  std::string strict;
  while (!head.empty()) {
    const std::size_t end = head.find('\n');
    std::string_view line = head.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool needs_space = strict.empty() && is_short_status_line(line);
    strict.append(line).append(needs_space ? " \r\n" : "\r\n");
    head.remove_prefix(end + 1);
  }
  return strict;
}

std::uint32_t to_header_limit(std::size_t bytes) {
  return static_cast<std::uint32_t>(
      std::min<std::size_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

struct HttpRequestParser::Impl {
  using Parser = MessageParser<true, HttpRequest>;

  explicit Impl(const Limits& wanted) : limits(wanted) { restart(); }

  void restart() {
    scanner.reset();
    request = HttpRequest();
    parser.emplace(request);
    parser->eager(true);
    parser->header_limit(to_header_limit(limits.head_bytes));
    parser->body_limit(limits.body_bytes);
    head_done = false;
    wants_continue = false;
  }

  HttpParseProgress fail(int status, std::string_view detail) {
    error = {.status = status, .detail = detail};
    return {.status = Status::failed};
  }

  HttpParseProgress fail(const error_code& ec) {
    if (ec == http::error::body_limit) return fail(413, "The body is too large.");
    if (ec == http::error::header_limit) return fail(431, "The head is too large.");
    if (head_done) return fail(400, "The chunked body is malformed.");
    return fail(400, "The request is not HTTP/1.1.");
  }

  HttpParseProgress feed_head(std::string_view bytes) {
    // A robust server skips an empty line before the request line (RFC 9112 section 2.2).
    const std::size_t skipped = bytes.starts_with("\r\n") ? 2 : 0;
    const std::string_view text = bytes.substr(skipped);
    const HttpHeadScanner::Verdict verdict = scanner.scan(text);
    if (verdict == HttpHeadScanner::Verdict::malformed) {
      return fail(400, "A line does not end in CR LF, or the head has a NUL.");
    }
    const bool complete = verdict == HttpHeadScanner::Verdict::complete;
    const std::size_t head_bytes = complete ? scanner.head_size() : text.size();
    if (head_bytes > limits.head_bytes) return fail(431, "The head is too large.");
    if (!complete) return {};
    const std::string_view head = text.substr(0, scanner.head_size());
    if (const auto checked = check_request_head(head, limits.head_fields); !checked) {
      return fail(checked.error().status, checked.error().detail);
    }
    error_code ec;
    parser->put_text(head, ec);
    if (ec && ec != http::error::need_more) return fail(ec);
    if (!parser->is_header_done()) return fail(400, "The request is not HTTP/1.1.");
    head_done = true;
    const auto expectation = request.headers.find("Expect");
    wants_continue = !parser->is_done() && request.minor_version == 1 && expectation &&
                     equals_ignoring_case(*expectation, "100-continue");
    return {.status = parser->is_done() ? Status::complete : Status::need_more,
            .consumed = skipped + head.size()};
  }

  HttpParseProgress feed_body(std::string_view bytes) {
    if (bytes.empty()) return {};
    error_code ec;
    const std::size_t consumed = parser->put_text(bytes, ec);
    if (ec && ec != http::error::need_more) return fail(ec);
    if (parser->is_done()) return {.status = Status::complete, .consumed = consumed};
    // What Beast leaves over is a chunk's size line or trailers: text, with the head's rules.
    const std::string_view rest = bytes.substr(consumed);
    for (std::size_t at = 0; at < rest.size(); ++at) {
      if (rest[at] == '\n' && (at == 0 || rest[at - 1] != '\r')) {
        return fail(400, "The chunked body is malformed.");
      }
    }
    if (rest.size() > limits.head_bytes) return fail(400, "The chunked body is malformed.");
    return {.status = Status::need_more, .consumed = consumed};
  }

  Limits limits;
  HttpHeadScanner scanner;
  HttpRequest request;
  std::optional<Parser> parser;
  HttpHeadError error;
  bool head_done = false;
  bool wants_continue = false;
};

HttpRequestParser::HttpRequestParser(const Limits& limits)
    : impl_(std::make_unique<Impl>(limits)) {}
HttpRequestParser::~HttpRequestParser() = default;

HttpParseProgress HttpRequestParser::feed(std::string_view bytes) {
  if (impl_->head_done) return impl_->feed_body(bytes);
  const HttpParseProgress head = impl_->feed_head(bytes);
  if (head.status != Status::need_more || !impl_->head_done) return head;
  HttpParseProgress body = impl_->feed_body(bytes.substr(head.consumed));
  body.consumed += head.consumed;
  return body;
}

bool HttpRequestParser::head_complete() const {
  return impl_->head_done;
}

const HttpRequest& HttpRequestParser::request() const {
  return impl_->request;
}

void HttpRequestParser::discard() {
  impl_->restart();
}

bool HttpRequestParser::take_continue_wish() {
  return std::exchange(impl_->wants_continue, false);
}

bool HttpRequestParser::keep_alive() const {
  return impl_->parser->keep_alive();
}

const HttpHeadError& HttpRequestParser::error() const {
  return impl_->error;
}

HttpRequest HttpRequestParser::take() {
  HttpRequest request = std::move(impl_->request);
  impl_->restart();
  return request;
}

struct HttpReplyParser::Impl {
  using Parser = MessageParser<false, HttpReply>;

  explicit Impl(const Limits& wanted) : limits(wanted) {}

  void restart() {
    reply = HttpReply();
    parser.emplace(reply);
    parser->eager(true);
    parser->header_limit(to_header_limit(limits.head_bytes));
    if (large == LargeBody::fails) {
      parser->body_limit(limits.body_bytes);
    } else {
      parser->body_limit(boost::none);
      parser->cut_body_at(limits.body_bytes);
    }
    if (method == HttpMethod::head) parser->skip(true);
  }

  /// Parses a head that has come in; says how much of the bytes it was.
  std::size_t feed_head(std::string_view bytes, error_code& ec) {
    const std::size_t end = head_end(bytes);
    if (end == std::string_view::npos) return 0;
    const std::string_view head = bytes.substr(0, end);
    const std::string strict = strict_head(head);
    was_lenient = was_lenient || strict != head;
    const std::size_t used = strict == head ? parser->put_text(bytes, ec) : end;
    if (strict != head) parser->put_text(strict, ec);
    // All of the head was there: what is not read as one now never will be.
    const bool wants_more = !ec || ec == http::error::need_more;
    if (wants_more && !parser->is_header_done()) ec = http::error::bad_version;
    return used;
  }

  HttpParseProgress fail(Error why) {
    error = why;
    return {.status = Status::failed};
  }

  bool is_interim() const { return reply.status / 100 == 1 && reply.status != 101; }

  Limits limits;
  HttpMethod method = HttpMethod::get;
  LargeBody large = LargeBody::fails;
  bool was_lenient = false;
  HttpReply reply;
  std::optional<Parser> parser;
  Error error = Error::none;
};

HttpReplyParser::HttpReplyParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
HttpReplyParser::~HttpReplyParser() = default;

void HttpReplyParser::start(HttpMethod method, LargeBody large) {
  impl_->method = method;
  impl_->large = large;
  impl_->was_lenient = false;
  impl_->error = Error::none;
  impl_->restart();
}

HttpParseProgress HttpReplyParser::feed(std::string_view bytes) {
  std::size_t consumed = 0;
  while (consumed < bytes.size()) {
    error_code ec;
    const std::string_view rest = bytes.substr(consumed);
    const bool in_head = !impl_->parser->is_header_done();
    consumed += in_head ? impl_->feed_head(rest, ec) : impl_->parser->put_text(rest, ec);
    if (ec && ec != http::error::need_more) {
      const bool large = ec == http::error::body_limit || ec == http::error::header_limit;
      return impl_->fail(large ? Error::too_large : Error::malformed);
    }
    if (impl_->parser->is_body_cut()) return {.status = Status::complete, .consumed = consumed};
    if (!impl_->parser->is_done()) {
      if (in_head && impl_->parser->is_header_done() && impl_->was_lenient) continue;
      break;
    }
    if (!impl_->is_interim()) return {.status = Status::complete, .consumed = consumed};
    impl_->restart();
  }
  if (bytes.size() - consumed > impl_->limits.head_bytes) return impl_->fail(Error::too_large);
  return {.status = Status::need_more, .consumed = consumed};
}

HttpParseProgress HttpReplyParser::feed_end() {
  if (!impl_->parser->got_some()) return impl_->fail(Error::malformed);
  error_code ec;
  impl_->parser->put_eof(ec);
  if (ec) return impl_->fail(Error::malformed);
  return {.status = Status::complete};
}

bool HttpReplyParser::keep_alive() const {
  return impl_->parser->keep_alive() && !impl_->was_lenient && !impl_->parser->is_body_cut();
}

bool HttpReplyParser::has_status() const {
  return impl_->parser && impl_->parser->is_header_done() && !impl_->is_interim();
}

HttpReplyParser::Error HttpReplyParser::error() const {
  return impl_->error;
}

HttpReply HttpReplyParser::take() {
  return std::move(impl_->reply);
}

}  // namespace penstock::net
