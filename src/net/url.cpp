#include "net/url.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace penstock::net {
namespace {

constexpr std::size_t kMaxUrlBytes = 2048;
constexpr std::size_t kMaxHostBytes = 253;
constexpr std::size_t kMaxQueryPairs = 64;
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_unreserved(char c) {
  return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_target_character(char c) {
  return is_unreserved(c) || std::string_view("!$&'()*+,;=:@/?").find(c) != std::string_view::npos;
}

struct HostPort {
  std::string_view host;
  std::optional<std::string_view> port;
  bool is_ipv6 = false;
};

std::optional<HostPort> split_authority(std::string_view text) {
  HostPort result;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    result.is_ipv6 = true;
    result.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.empty()) return result;
    if (text.front() != ':') return std::nullopt;
    result.port = text.substr(1);
    return result;
  }
  const std::size_t colon = text.find(':');
  result.host = text.substr(0, colon);
  if (colon != std::string_view::npos) result.port = text.substr(colon + 1);
  return result;
}

bool is_valid_host(const HostPort& authority) {
  const std::string_view host = authority.host;
  if (host.empty() || host.size() > kMaxHostBytes) return false;
  if (authority.is_ipv6) {
    // inet_pton stops at a NUL, so the characters are looked at first.
    if (host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return false;
    in6_addr address{};
    return inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
  }
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, port);
  if (text.empty() || status != std::errc() || stop != end || port == 0) return std::nullopt;
  return port;
}

std::uint16_t default_port(UrlScheme scheme) {
  return scheme == UrlScheme::https ? kHttpsPort : kHttpPort;
}

std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[at] != '%') {
      out += text[at];
    } else {
      if (at + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[at + 1]);
      const int low = hex_value(text[at + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      at += 2;
    }
  }
  return out;
}

}  // namespace

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != default_port(scheme)) text += ":" + std::to_string(port);
  return text;
}

std::string_view to_string(UrlError error) {
  switch (error) {
    case UrlError::too_long:
      return "too_long";
    case UrlError::unsupported_scheme:
      return "unsupported_scheme";
    case UrlError::has_userinfo:
      return "has_userinfo";
    case UrlError::invalid_host:
      return "invalid_host";
    case UrlError::invalid_port:
      return "invalid_port";
    case UrlError::invalid_target:
      return "invalid_target";
  }
  return "invalid_target";
}

std::expected<Url, UrlError> parse_url(std::string_view text) {
  if (text.size() > kMaxUrlBytes) return std::unexpected(UrlError::too_long);
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  Url url;
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return std::unexpected(UrlError::unsupported_scheme);
  std::string scheme(text.substr(0, scheme_end));
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), lower);
  if (scheme == "https") {
    url.scheme = UrlScheme::https;
  } else if (scheme != "http") {
    return std::unexpected(UrlError::unsupported_scheme);
  }
  text.remove_prefix(scheme_end + 3);

  const std::string_view authority_text = text.substr(0, text.find_first_of("/?#"));
  text.remove_prefix(authority_text.size());
  if (authority_text.find('@') != std::string_view::npos) {
    return std::unexpected(UrlError::has_userinfo);
  }
  const std::optional<HostPort> authority = split_authority(authority_text);
  if (!authority || !is_valid_host(*authority)) return std::unexpected(UrlError::invalid_host);
  url.host.assign(authority->host);
  std::transform(url.host.begin(), url.host.end(), url.host.begin(), lower);
  url.port = default_port(url.scheme);
  if (authority->port) {
    const std::optional<std::uint16_t> port = parse_port(*authority->port);
    if (!port) return std::unexpected(UrlError::invalid_port);
    url.port = *port;
  }
  url.target = text.starts_with('/') ? std::string(text) : "/" + std::string(text);
  if (!is_valid_origin_form(url.target)) return std::unexpected(UrlError::invalid_target);
  return url;
}

bool is_valid_origin_form(std::string_view target) {
  if (!target.starts_with('/')) return false;
  for (std::size_t at = 0; at < target.size(); ++at) {
    if (target[at] == '%') {
      if (at + 2 >= target.size()) return false;
      if (hex_value(target[at + 1]) < 0 || hex_value(target[at + 2]) < 0) return false;
      at += 2;
    } else if (!is_target_character(target[at])) {
      return false;
    }
  }
  return true;
}

bool is_valid_authority(std::string_view text) {
  const std::optional<HostPort> authority = split_authority(text);
  if (!authority || !is_valid_host(*authority)) return false;
  return !authority->port || authority->port->empty() || parse_port(*authority->port).has_value();
}

std::optional<std::string> percent_decode(std::string_view text) {
  return decode(text, false);
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    out += '%';
    out += kHex[static_cast<unsigned char>(c) >> 4U];
    out += kHex[static_cast<unsigned char>(c) & 0x0FU];
  }
  return out;
}

std::optional<std::vector<std::pair<std::string, std::string>>> parse_query(
    std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    if (pairs.size() == kMaxQueryPairs) return std::nullopt;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::optional<std::string> name = decode(pair.substr(0, equals), true);
    const std::string_view raw_value =
        equals < pair.size() ? pair.substr(equals + 1) : std::string_view();
    std::optional<std::string> value = decode(raw_value, true);
    if (!name || !value) return std::nullopt;
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

}  // namespace penstock::net
