#include "api/caller.h"

#include <openssl/crypto.h>

#include "api/sha256.h"

namespace penstock::api {
namespace {

constexpr std::string_view kScheme = "Bearer ";

domain::TenantId default_tenant() {
  return domain::TenantId::unchecked(std::string(kDefaultTenant));
}

}  // namespace

AdminKeyAuthenticator::AdminKeyAuthenticator(const std::optional<std::string>& admin_key) {
  if (admin_key) digest_ = sha256({*admin_key});
}

std::optional<Caller> AdminKeyAuthenticator::authenticate(const net::HttpHeaders& headers) const {
  if (!digest_) return Caller{.kind = Caller::Kind::open, .tenant = default_tenant()};
  const auto token = bearer_token(headers);
  if (!token) return std::nullopt;
  const auto digest = sha256({*token});
  if (CRYPTO_memcmp(digest.data(), digest_->data(), digest.size()) != 0) return std::nullopt;
  return Caller{.kind = Caller::Kind::admin, .tenant = default_tenant()};
}

std::optional<std::string_view> bearer_token(const net::HttpHeaders& headers) {
  if (headers.count("Authorization") != 1) return std::nullopt;
  std::string_view value = *headers.find("Authorization");
  if (value.size() <= kScheme.size() ||
      !net::equals_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  value.remove_prefix(kScheme.size());
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return value;
}

}  // namespace penstock::api
