#include "net/http_head_check.h"

#include <algorithm>

#include "net/http_message.h"
#include "net/url.h"

namespace penstock::net {
namespace {

using Result = std::expected<void, HttpHeadError>;

/// Longer numbers cannot be a length that anybody accepts, and would overflow.
constexpr std::size_t kMaxContentLengthDigits = 18;

Result refuse(std::string_view detail) {
  return std::unexpected(HttpHeadError{.status = 400, .detail = detail});
}

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

struct RequestLine {
  std::string_view method;
  std::string_view target;
  int minor_version = 1;
};

/// What the fields say together.
struct Framing {
  std::size_t hosts = 0;
  std::string_view host;
  std::size_t content_lengths = 0;
  std::size_t transfer_encodings = 0;
};

bool is_version_text(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return text.size() == 8 && text.starts_with("HTTP/") && digit(text[5]) && text[6] == '.' &&
         digit(text[7]);
}

std::expected<RequestLine, HttpHeadError> read_request_line(std::string_view line) {
  const auto bad = [](std::string_view detail) {
    return std::unexpected(HttpHeadError{.status = 400, .detail = detail});
  };
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return bad("The request line is not method, target and version.");
  }
  RequestLine result;
  result.method = line.substr(0, first);
  result.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(result.method)) return bad("The method is not a token.");
  if (!is_version_text(version)) return bad("The request line does not end in an HTTP version.");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return std::unexpected(
        HttpHeadError{.status = 505, .detail = "Only HTTP/1.0 and HTTP/1.1 are spoken here."});
  }
  result.minor_version = version.back() - '0';
  return result;
}

Result check_content_length(std::string_view value) {
  const bool digits =
      std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (value.empty() || !digits) return refuse("Content-Length is not a plain decimal number.");
  if (value.size() > kMaxContentLengthDigits) {
    return std::unexpected(HttpHeadError{.status = 413, .detail = "The body is too large."});
  }
  return {};
}

Result check_field(std::string_view line, Framing& framing) {
  if (line.front() == ' ' || line.front() == '\t') return refuse("A header line is folded.");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refuse("A header line has no colon.");
  const std::string_view name = line.substr(0, colon);
  if (!is_token(name)) return refuse("A header name is not a token.");
  const std::string_view value = trim(line.substr(colon + 1));
  if (!is_valid_header_value(value)) return refuse("A header value has a control character.");
  if (equals_ignoring_case(name, "Host")) {
    ++framing.hosts;
    framing.host = value;
    if (!is_valid_authority(value)) return refuse("The Host header is not a host and port.");
  } else if (equals_ignoring_case(name, "Content-Length")) {
    ++framing.content_lengths;
    return check_content_length(value);
  } else if (equals_ignoring_case(name, "Transfer-Encoding")) {
    ++framing.transfer_encodings;
    if (!equals_ignoring_case(value, "chunked")) {
      return refuse("The only Transfer-Encoding understood is chunked.");
    }
  }
  return {};
}

Result check_framing(const Framing& framing, const RequestLine& line) {
  if (framing.content_lengths > 1) return refuse("Content-Length is given more than once.");
  if (framing.transfer_encodings > 1) return refuse("Transfer-Encoding is given more than once.");
  if (framing.transfer_encodings == 1 && framing.content_lengths == 1) {
    return refuse("Content-Length and Transfer-Encoding exclude each other.");
  }
  if (framing.transfer_encodings == 1 && line.minor_version == 0) {
    return refuse("Transfer-Encoding does not exist in HTTP/1.0.");
  }
  if (framing.hosts > 1) return refuse("Host is given more than once.");
  if (framing.hosts == 0 && line.minor_version == 1) return refuse("The Host header is missing.");
  return {};
}

/// "http://authority" of an absolute-form target; "" for any other form.
std::string_view absolute_authority(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() > scheme.size() &&
        equals_ignoring_case(target.substr(0, scheme.size()), scheme)) {
      const std::size_t end = std::min(target.find_first_of("/?", scheme.size()), target.size());
      return target.substr(scheme.size(), end - scheme.size());
    }
  }
  return {};
}

Result check_target(const RequestLine& line, const Framing& framing) {
  if (line.target == "*") {
    return line.method == "OPTIONS" ? Result{} : refuse("The target \"*\" is for OPTIONS alone.");
  }
  const std::string_view authority = absolute_authority(line.target);
  if (!authority.empty() && framing.hosts == 1 && !equals_ignoring_case(authority, framing.host)) {
    return refuse("The target's authority is not the Host header's.");
  }
  if (!is_valid_origin_form(origin_form(line.target))) {
    return refuse("The target is not a path with an optional query.");
  }
  return {};
}

}  // namespace

HttpHeadScanner::Verdict HttpHeadScanner::scan(std::string_view bytes) {
  while (scanned_ < bytes.size()) {
    const char c = bytes[scanned_];
    if (c == '\0' || c == '\n') return Verdict::malformed;
    if (c != '\r') {
      ++scanned_;
      continue;
    }
    if (scanned_ + 1 == bytes.size()) return Verdict::need_more;
    if (bytes[scanned_ + 1] != '\n') return Verdict::malformed;
    const bool empty_line = scanned_ == line_begin_;
    scanned_ += 2;
    line_begin_ = scanned_;
    if (empty_line) return Verdict::complete;
  }
  return Verdict::need_more;
}

Result check_request_head(std::string_view head, std::size_t max_fields) {
  std::size_t line_end = head.find("\r\n");
  if (line_end == std::string_view::npos) return refuse("The head has no line.");
  const auto line = read_request_line(head.substr(0, line_end));
  if (!line) return std::unexpected(line.error());
  head.remove_prefix(line_end + 2);

  Framing framing;
  std::size_t fields = 0;
  while (!head.starts_with("\r\n")) {
    line_end = head.find("\r\n");
    if (line_end == std::string_view::npos) return refuse("The head is cut off.");
    if (++fields > max_fields) {
      return std::unexpected(HttpHeadError{.status = 431, .detail = "Too many header fields."});
    }
    if (Result field = check_field(head.substr(0, line_end), framing); !field) return field;
    head.remove_prefix(line_end + 2);
  }
  if (Result result = check_framing(framing, *line); !result) return result;
  return check_target(*line, framing);
}

std::string_view origin_form(std::string_view target) {
  const std::string_view authority = absolute_authority(target);
  if (authority.empty()) return target;
  const std::string_view rest = target.substr(target.find("://") + 3 + authority.size());
  return rest.empty() ? std::string_view("/") : rest;
}

}  // namespace penstock::net
