#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "domain/ids.h"
#include "net/http_message.h"

namespace penstock::api {

/// The tenant of a caller that names none where the server is open, and of the admin key.
inline constexpr std::string_view kDefaultTenant = "default";

/// Who sent a request.
struct Caller {
  enum class Kind : std::uint8_t {
    open,    ///< no key is configured: everybody may do everything
    admin,   ///< reaches all tenants and the operations
    tenant,  ///< reaches its own tenant alone
  };
  Kind kind = Kind::open;
  domain::TenantId tenant;  ///< its own, or the default tenant

  bool is_operator() const { return kind != Kind::tenant; }
  /// Whether it may read and write what belongs to this tenant.
  bool reaches(const domain::TenantId& other) const { return is_operator() || other == tenant; }
};

/// Tells who a request comes from. Thread-safe.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  /// The caller; nothing where a key is needed and none, or a wrong one, was sent.
  virtual std::optional<Caller> authenticate(const net::HttpHeaders& headers) const = 0;
};

/// The one admin key, or none: then the server is open. Keeps only the key's digest and compares
/// digests in constant time.
class AdminKeyAuthenticator : public Authenticator {
 public:
  explicit AdminKeyAuthenticator(const std::optional<std::string>& admin_key);
  std::optional<Caller> authenticate(const net::HttpHeaders& headers) const override;

 private:
  std::optional<std::array<std::uint8_t, 32>> digest_;
};

/// The token of "Authorization: Bearer <token>" (RFC 6750); nothing where the header is absent,
/// doubled or of another scheme.
std::optional<std::string_view> bearer_token(const net::HttpHeaders& headers);

}  // namespace penstock::api
