#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::net {

enum class UrlScheme : std::uint8_t { http, https };

/// An absolute http or https URL in its parts.
struct Url {
  UrlScheme scheme = UrlScheme::http;
  /// Lower case; an IPv6 literal without its brackets.
  std::string host;
  /// The scheme's default (80, 443) where the text names none.
  std::uint16_t port = 0;
  /// Path and query as written, starting with '/'; "/" where the text has no path.
  std::string target;

  /// The Host header's value: brackets around IPv6, the port unless it is the scheme's default.
  std::string authority() const;
};

enum class UrlError : std::uint8_t {
  too_long,
  unsupported_scheme,
  has_userinfo,
  invalid_host,
  invalid_port,
  invalid_target,
};

/// "invalid_host" and so on.
std::string_view to_string(UrlError error);

/// Parses strictly: http or https, no user information, a host of letters, digits, '.', '-', '_'
/// or a bracketed IPv6 literal without a zone, a port of 1..65535, no fragment, at most 2048
/// bytes. Source: RFC 3986 and RFC 9110 section 4.2.
std::expected<Url, UrlError> parse_url(std::string_view text);

/// Whether `target` is a path with an optional query in origin-form (RFC 9112 section 3.2.1):
/// starts with '/', only the characters RFC 3986 allows there, whole percent escapes.
bool is_valid_origin_form(std::string_view target);

/// Whether `text` may stand in a Host header: host, optional port.
bool is_valid_authority(std::string_view text);

/// Replaces %XX by its byte ('+' stays '+'). nullopt for a broken escape.
std::optional<std::string> percent_decode(std::string_view text);

/// Escapes every byte but RFC 3986's unreserved characters.
std::string percent_encode(std::string_view text);

/// Splits "a=1&b=2" into decoded pairs, in order ('+' is a space, as forms write it). nullopt for
/// a broken escape or more than 64 pairs.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);

}  // namespace penstock::net
