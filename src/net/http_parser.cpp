#include "net/http_parser.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

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
    message_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view extensions, error_code& ec) override {
    any_chunk_ = true;
    // Beast lets white space stand where an extension could begin; a size line is digits, then
    // nothing or ";".
    if (!extensions.empty() && extensions.front() != ';') ec = http::error::bad_chunk_extension;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    message_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  Message& message_;
  bool head_done_ = false;
  bool any_chunk_ = false;
};

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
    parser->body_limit(limits.body_bytes);
    if (method == HttpMethod::head) parser->skip(true);
  }

  HttpParseProgress fail(Error why) {
    error = why;
    return {.status = Status::failed};
  }

  bool is_interim() const { return reply.status / 100 == 1 && reply.status != 101; }

  Limits limits;
  HttpMethod method = HttpMethod::get;
  HttpReply reply;
  std::optional<Parser> parser;
  Error error = Error::none;
};

HttpReplyParser::HttpReplyParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
HttpReplyParser::~HttpReplyParser() = default;

void HttpReplyParser::start(HttpMethod method) {
  impl_->method = method;
  impl_->error = Error::none;
  impl_->restart();
}

HttpParseProgress HttpReplyParser::feed(std::string_view bytes) {
  std::size_t consumed = 0;
  while (consumed < bytes.size()) {
    error_code ec;
    consumed += impl_->parser->put_text(bytes.substr(consumed), ec);
    if (ec && ec != http::error::need_more) {
      const bool large = ec == http::error::body_limit || ec == http::error::header_limit;
      return impl_->fail(large ? Error::too_large : Error::malformed);
    }
    if (!impl_->parser->is_done()) break;
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
  return impl_->parser->keep_alive();
}

HttpReplyParser::Error HttpReplyParser::error() const {
  return impl_->error;
}

HttpReply HttpReplyParser::take() {
  return std::move(impl_->reply);
}

}  // namespace penstock::net
