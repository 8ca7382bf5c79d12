#pragma once

#include <string_view>

namespace penstock::domain {

/// Whether every Standard Webhooks library reads this secret as the same key: "whsec_" and padded
/// standard base64 (RFC 4648, section 4) of at least one byte; or two such with one space between,
/// while one is being replaced by the other. Source: standardwebhooks.com, version 1.0.0.
bool is_webhook_secret(std::string_view text);

}  // namespace penstock::domain
