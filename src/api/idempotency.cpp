#include "api/idempotency.h"

#include <string>
#include <utility>

#include "api/sha256.h"
#include "net/json_canonical.h"

namespace penstock::api {
namespace {

constexpr std::string_view kOrderRoute = "POST\n/orders\n";
constexpr std::string_view kMember = "idempotency_key";
/// A canonical body larger than this gives its buffer back.
constexpr std::size_t kKeptBufferBytes = 16 * 1024;

Problem invalid_key(std::string_view pointer, std::string_view detail) {
  return field_problem(domain::ErrorCode::idempotency_key_invalid, std::string(pointer), "invalid",
                       detail);
}

/// The content of an RFC 8941 section 3.3.3 string; nothing where `text` is none.
std::optional<std::string> unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  std::string content;
  text = text.substr(1, text.size() - 2);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') return std::nullopt;
    if (text[at] == '\\') {
      ++at;
      if (at == text.size() || (text[at] != '"' && text[at] != '\\')) return std::nullopt;
    }
    content += text[at];
  }
  return content;
}

}  // namespace

std::expected<std::optional<domain::IdempotencyKey>, Problem> idempotency_key_of(
    const net::HttpHeaders& headers) {
  const auto value = headers.find("Idempotency-Key");
  if (!value) return std::nullopt;
  if (headers.count("Idempotency-Key") != 1) {
    return std::unexpected(invalid_key("", "The Idempotency-Key header is there more than once."));
  }
  std::optional<std::string> text;
  if (value->starts_with('"')) {
    text = unquote(*value);
  } else {
    text = std::string(*value);
  }
  auto key = text ? domain::IdempotencyKey::parse(*text) : std::nullopt;
  if (!key) {
    return std::unexpected(
        invalid_key("", "The Idempotency-Key header is no key of 1 to 255 printable characters."));
  }
  return key;
}

std::expected<std::optional<domain::IdempotencyKey>, Problem> merge_idempotency_keys(
    std::optional<domain::IdempotencyKey> header, std::optional<std::string_view> body) {
  if (!body) return header;
  auto key = domain::IdempotencyKey::parse(*body);
  if (!key) {
    return std::unexpected(invalid_key(
        "/idempotency_key", "idempotency_key is no key of 1 to 255 printable characters."));
  }
  if (header && *header != *key) {
    return std::unexpected(field_problem(domain::ErrorCode::idempotency_key_conflict,
                                         "/idempotency_key", "conflict", ""));
  }
  return key;
}

domain::Fingerprint fingerprint_of_order(net::JsonView body) {
  static thread_local std::string canonical;
  canonical.clear();
  net::canonical_json(body, kMember, canonical);
  const domain::Fingerprint fingerprint = sha256({kOrderRoute, canonical});
  if (canonical.capacity() > kKeptBufferBytes) std::string().swap(canonical);
  return fingerprint;
}

}  // namespace penstock::api
