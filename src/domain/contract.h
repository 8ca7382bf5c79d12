#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "domain/token_bucket.h"

namespace penstock::domain {

/// Where a tenant's terminal events go.
struct Webhook {
  std::string url;        ///< http or https, at most kMaxWebhookUrlBytes
  std::string secret;     ///< "whsec_<base64>" or raw text; never shown in an answer or a log
  bool disabled = false;  ///< set when the endpoint answered 410

  bool operator==(const Webhook&) const = default;
};

/// What was agreed with a tenant.
struct Contract {
  BucketContract bucket;
  std::optional<TokenRate> guarantee;  ///< at most the bucket's rate
  std::int64_t weight = 1;             ///< share of the dequeue, 1..kMaxWeight
  std::optional<Webhook> webhook;

  bool operator==(const Contract&) const = default;
};

}  // namespace penstock::domain
