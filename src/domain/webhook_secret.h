#pragma once

#include <cstddef>
#include <string_view>

namespace penstock::domain {

/// The bytes of a key, as the specification has them.
inline constexpr std::size_t kLeastWebhookKeyBytes = 24;
inline constexpr std::size_t kMostWebhookKeyBytes = 64;

/// Whether every Standard Webhooks library reads this secret as the same key: "whsec_" and padded
/// standard base64 (RFC 4648, section 4) of 24 to 64 bytes; or two such with one space between,
/// while one is being replaced by the other. Source: standardwebhooks.com, version 1.0.0.
bool is_webhook_secret(std::string_view text);

}  // namespace penstock::domain
