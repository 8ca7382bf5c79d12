#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Signatures after the Standard Webhooks specification (standardwebhooks.com, version 1.0.0).
namespace penstock::webhook {

/// What is signed: "<id>.<timestamp>.<body>".
struct SignedContent {
  std::string_view id{};         ///< the webhook-id header
  std::int64_t timestamp_s = 0;  ///< the webhook-timestamp header, Unix seconds
  std::string_view body{};
};

/// The webhook-signature header: "v1," and the base64 of HMAC-SHA256, one for each secret.
/// `secret` is "whsec_<base64>" and stands for the decoded bytes; two of them with a space between
/// sign both ways, as long as a secret is being replaced. Any other text stands for its own bytes.
std::string sign(std::string_view secret, const SignedContent& content);

}  // namespace penstock::webhook
