#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::net {

enum class HttpMethod : std::uint8_t { get, head, post, put, patch, delete_, options, other };

/// "GET" and so on are methods, case-sensitively; everything else is `other`.
HttpMethod parse_method(std::string_view text);
/// The method's name; "" for `other`.
std::string_view to_string(HttpMethod method);

struct HttpHeader {
  std::string name{};
  std::string value{};
};

/// ASCII case-insensitive equality, as header names compare.
bool equals_ignoring_case(std::string_view left, std::string_view right);

/// A header section: all names and values in one string, so that taking one in costs two
/// allocations whatever its length. Order is kept; names are looked up case-insensitively.
class HttpHeaders {
 public:
  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<HttpHeader> headers);

  void add(std::string_view name, std::string_view value);
  /// The first value of that name; nullopt where there is none. Valid until the next add().
  std::optional<std::string_view> find(std::string_view name) const;
  /// How many fields have that name: more than one is a conflict for what names a single thing
  /// (Authorization, Idempotency-Key, Content-Type).
  std::size_t count(std::string_view name) const;
  std::size_t size() const { return fields_.size(); }
  /// What the section takes in memory.
  std::size_t memory_bytes() const { return text_.capacity() + fields_.capacity() * sizeof(Field); }
  /// The index-th field, index < size().
  std::string_view name(std::size_t index) const;
  std::string_view value(std::size_t index) const;

 private:
  struct Field {
    std::uint32_t name_begin;
    std::uint32_t name_size;
    std::uint32_t value_begin;
    std::uint32_t value_size;
  };
  std::string text_;
  std::vector<Field> fields_;
};

/// One request, whole: the server hands it over when its body has come in.
/// Can be made by hand as well, which is how a handler is tested without a socket.
struct HttpRequest {
  HttpMethod method = HttpMethod::get;
  /// As received: says what `other` was.
  std::string method_text = "GET";
  /// Origin-form, undecoded: path and optional query; "*" for OPTIONS alone.
  std::string target = "/";
  HttpHeaders headers{};
  std::string body{};
  /// The peer's IP address as text, without the port.
  std::string peer_address{};
  /// 0 or 1: HTTP/1.x.
  int minor_version = 1;

  /// The target up to the '?', undecoded.
  std::string_view path() const;
  /// What follows the '?', undecoded; "" where there is none.
  std::string_view query() const;
};

/// An answer. Content-Length, Date and Connection are the server's to write.
struct HttpResponse {
  int status = 200;
  /// Written as Content-Type unless empty.
  std::string content_type{};
  std::vector<HttpHeader> headers{};
  /// More header lines, already formatted ("Name: value\r\n" each): the cheap way for lines which
  /// are the same for many answers, or which were stored.
  std::string formatted_headers{};
  std::string body{};
};

/// One answer as a client sees it.
struct HttpReply {
  int status = 0;
  HttpHeaders headers{};
  std::string body{};
};

/// The reason phrase of RFC 9110; "Unknown" for a status it does not name.
std::string_view reason_phrase(int status);

/// Whether the text may be a header's name (an RFC 9110 token).
bool is_token(std::string_view text);
/// Whether the text may be a header's value: no control character but the tab.
bool is_valid_header_value(std::string_view text);

}  // namespace penstock::net
