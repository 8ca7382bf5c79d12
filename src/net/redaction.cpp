#include "net/redaction.h"

#include <algorithm>
#include <array>

namespace penstock::net {
namespace {

constexpr std::string_view kSeparator = "://";
constexpr auto npos = std::string_view::npos;

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_scheme(std::string_view text) {
  return !text.empty() && text.size() <= 16 && std::ranges::all_of(text, [](char c) {
    return is_letter_or_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

bool is_port(std::string_view text) {
  return text.size() <= 5 && text.find_first_not_of("0123456789") == npos;
}

/// One of "name", "name:80", "[::1]:80"; a database's URL has several, or none.
bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    std::size_t const close = text.find(']');
    if (close == npos) return false;
    if (text.substr(1, close - 1).find_first_not_of("0123456789abcdefABCDEF:.") != npos) {
      return false;
    }
    text.remove_prefix(close + 1);
    return text.empty() || (text.front() == ':' && is_port(text.substr(1)));
  }
  std::size_t const colon = std::min(text.find(':'), text.size());
  bool const named = std::ranges::all_of(text.substr(0, colon), [](char c) {
    return is_letter_or_digit(c) || std::string_view(".-_%").find(c) != npos;
  });
  return named && (colon == text.size() || is_port(text.substr(colon + 1)));
}

bool are_hosts(std::string_view text) {
  while (true) {
    std::size_t const comma = std::min(text.find(','), text.size());
    if (!is_host(text.substr(0, comma))) return false;
    if (comma == text.size()) return true;
    text.remove_prefix(comma + 1);
  }
}

bool is_path(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return is_letter_or_digit(c) || std::string_view("/-._~+,%").find(c) != npos;
  });
}

std::string joined(std::string_view first, std::string_view second) {
  return std::string(first).append(second);
}

/// Whether the name of a "name=value" pair says that its value is secret.
bool names_a_secret(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames{"password", "passwd", "passfile",
                                                   "secret",   "token",  "key"};
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return std::ranges::any_of(kNames,
                             [&](std::string_view secret) { return lower.find(secret) != npos; });
}

std::string redacted_word(std::string_view word) {
  if (word.find(kSeparator) != npos) return redacted(word);
  std::size_t const equals = word.find('=');
  if (equals != npos && names_a_secret(word.substr(0, equals))) {
    return joined(word.substr(0, equals + 1), kMask);
  }
  return word.find('@') == npos ? std::string(word) : std::string(kMask);
}

}  // namespace

std::string redacted(std::string_view text) {
  if (text.empty() || text == kMask) return std::string(text);
  std::size_t const scheme_end = text.find(kSeparator);
  if (scheme_end == npos || !is_scheme(text.substr(0, scheme_end))) return std::string(kMask);
  std::string shown(text.substr(0, scheme_end + kSeparator.size()));
  std::string_view rest = text.substr(shown.size());
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  rest.remove_prefix(authority.size());
  std::string_view const path = rest.substr(0, rest.find_first_of("?#"));
  rest.remove_prefix(path.size());
  std::size_t const at = authority.rfind('@');
  std::string_view const host = at == npos ? authority : authority.substr(at + 1);
  // An '@' behind the authority may end a password that has a slash in it.
  if (!are_hosts(host) || !is_path(path) || rest.find('@') != npos) return shown.append(kMask);
  if (at != npos) shown.append(kMask) += '@';
  shown.append(host).append(path);
  if (!rest.empty()) (shown += rest.front()).append(kMask);
  return shown;
}

std::string redacted_sentence(std::string_view text) {
  constexpr std::string_view kBetween = " \t\r\n\"'`()<>{};";
  std::string shown;
  while (!text.empty()) {
    std::size_t const start = std::min(text.find_first_not_of(kBetween), text.size());
    shown.append(text.substr(0, start));
    text.remove_prefix(start);
    std::size_t const end = std::min(text.find_first_of(kBetween), text.size());
    shown += redacted_word(text.substr(0, end));
    text.remove_prefix(end);
  }
  return shown;
}

bool is_masked(std::string_view text) {
  return text.find(kMask) != npos;
}

}  // namespace penstock::net
