#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace penstock::net {

/// How the body's end is told (RFC 9112 section 6).
enum class BodyFraming : std::uint8_t { length, chunked, to_end };

/// What of an answer depends on the request and the connection.
struct ResponseContext {
  /// "Date: ...\r\n".
  std::string_view date_line;
  BodyFraming framing = BodyFraming::length;
  bool keep_alive = true;
  bool is_head = false;
  int minor_version = 1;
};

/// Appends an answer as it goes over the wire. A header which could break the message (a name
/// that is no token, a value with a control character) is left out. For a chunked or unframed
/// answer the head alone is written.
void append_response(const HttpResponse& response, const ResponseContext& context,
                     std::string& out);

/// Appends one chunk; nothing for no bytes, which would end the body.
void append_chunk(std::string_view bytes, std::string& out);

/// "Date: Sun, 22 Nov 2026 18:00:00 GMT\r\n".
std::string date_line(std::time_t now);

}  // namespace penstock::net
