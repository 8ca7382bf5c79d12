#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

namespace penstock::net {

/// How a request's head breaks the rules.
struct HttpHeadError {
  /// 400, 413, 431 or 505.
  int status = 400;
  /// A static sentence for the answer's detail.
  std::string_view detail;
};

/// The end of a message's head, looked for as bytes come in, so that each is looked at once.
class HttpHeadScanner {
 public:
  enum class Verdict : std::uint8_t { need_more, complete, malformed };

  /// `bytes` is the message from its first byte on; it may only have grown since the last call.
  /// malformed: a NUL, a LF without CR or a CR without LF, seen as soon as it is there.
  Verdict scan(std::string_view bytes);
  /// Bytes of the head with its empty line, once complete.
  std::size_t head_size() const { return scanned_; }
  void reset() { *this = HttpHeadScanner(); }

 private:
  std::size_t scanned_ = 0;
  std::size_t line_begin_ = 0;
};

/// Checks a request's complete head (request line, fields, empty line) more strictly than a
/// lenient parser would, so that no two readers of the same bytes can disagree about where the
/// message ends (RFC 9112 sections 2.2, 3, 5 and 6; the request smuggling forms). Refuses: what is
/// not a request line with single spaces; a target which is neither origin-form, nor "*" for
/// OPTIONS, nor absolute-form agreeing with Host; a version other than 1.0 and 1.1 (505); folded
/// lines; space around or a non-token in a name; control characters; a Content-Length which is
/// not plain digits, or is given twice, or stands beside Transfer-Encoding; any Transfer-Encoding
/// but one "chunked" in HTTP/1.1; a missing (1.1), repeated or malformed Host; more than
/// `max_fields` fields (431).
std::expected<void, HttpHeadError> check_request_head(std::string_view head,
                                                      std::size_t max_fields);

/// The path of an absolute-form target ("http://host/path"); the target itself otherwise.
std::string_view origin_form(std::string_view target);

}  // namespace penstock::net
