#include "net/http_response_text.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

namespace penstock::net {
namespace {

template <typename Integer>
void append_integer(Integer value, std::string& out, int base = 10) {
  std::array<char, 24> text{};
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value, base);
  out.append(text.data(), static_cast<std::size_t>(result.ptr - text.data()));
}

void append_header(const HttpHeader& header, std::string& out) {
  if (!is_token(header.name) || !is_valid_header_value(header.value)) return;
  out.append(header.name).append(": ").append(header.value).append("\r\n");
}

bool has_no_body(int status) {
  return status / 100 == 1 || status == 204 || status == 304;
}

}  // namespace

void append_response(const HttpResponse& response, const ResponseContext& context,
                     std::string& out) {
  constexpr std::size_t kHeadEstimate = 256;
  const bool empty = has_no_body(response.status);
  if (out.capacity() - out.size() < kHeadEstimate + response.body.size()) {
    out.reserve(2 * out.size() + kHeadEstimate + response.body.size());
  }
  out += "HTTP/1.1 ";
  append_integer(response.status, out);
  out += ' ';
  out += reason_phrase(response.status);
  out += "\r\n";
  out += context.date_line;
  if (!response.content_type.empty() && is_valid_header_value(response.content_type)) {
    out.append("Content-Type: ").append(response.content_type).append("\r\n");
  }
  for (const HttpHeader& header : response.headers) append_header(header, out);
  out += response.formatted_headers;
  if (!empty && context.framing == BodyFraming::length) {
    out += "Content-Length: ";
    append_integer(response.body.size(), out);
    out += "\r\n";
  } else if (!empty && context.framing == BodyFraming::chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
  if (!context.keep_alive) {
    out += "Connection: close\r\n";
  } else if (context.minor_version == 0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  if (!empty && !context.is_head && context.framing == BodyFraming::length) out += response.body;
}

void append_chunk(std::string_view bytes, std::string& out) {
  if (bytes.empty()) return;
  append_integer(bytes.size(), out, 16);
  out.append("\r\n").append(bytes).append("\r\n");
}

std::string date_line(std::time_t now) {
  constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                     "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  gmtime_r(&now, &parts);
  return fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n",
                     kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                     kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace penstock::net
