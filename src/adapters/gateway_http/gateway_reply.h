#pragma once

#include <string>
#include <string_view>

#include "domain/money.h"
#include "domain/saga.h"
#include "net/http_client.h"

namespace penstock::gateway_http {

/// What was asked, as far as an answer may repeat it.
struct Asked {
  domain::EffectKind kind = domain::EffectKind::charge;
  domain::Money amount;  ///< of the charge or refund; find and close: of the charge
  std::string key;       ///< as in GatewayRequest
};

/// What the gateway's answer says (docs/gateway-protocol.md). Only what the protocol says is a
/// verdict: a status, an object, an error code that it has for this call. All else, a proxy's page
/// above all, is `unknown`. Pure.
///
/// | answer | outcome |
/// |---|---|
/// | 200, the object of this call, succeeded, with an id | done |
/// | 200 of find or close, status canceled | closed |
/// | 200 of find, status requires_payment_method | refused |
/// | 402 with a code of a decline (charge) or charge_not_refundable (refund) | refused |
/// | 400 with payment_intent_unexpected_state on a charge | closed |
/// | 404 with resource_missing on a find | not_found |
/// | 400 with a code of a refused request | permanent |
/// | 500 with not_processed | transient |
/// | 401, 403, 407; 404, 405 with unknown_path, method_not_allowed | unavailable, not authorized |
/// | 429, 503 | unavailable, overloaded |
/// | all else; an answer that repeats another amount, currency or key | unknown |
domain::Outcome read_reply(const Asked& asked, const net::HttpReply& reply);

/// What no answer means: `unavailable` where certainly nothing was sent, `permanent` where the
/// request cannot be written as HTTP, else `unknown`. `peer` is "host:port", for people.
domain::Outcome read_failure(net::HttpClientError error, std::string_view peer);

}  // namespace penstock::gateway_http
