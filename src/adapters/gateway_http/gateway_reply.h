#pragma once

#include "domain/saga.h"
#include "net/http_client.h"

namespace penstock::gateway_http {

/// What the gateway's answer to a request of `kind` says (docs/gateway-protocol.md). The rule for
/// what is not plain: `unknown`, unless the status tells that nothing was done. Pure.
///
/// | answer | outcome |
/// |---|---|
/// | 2xx, status succeeded, with an id | done |
/// | 2xx, status canceled / requires_payment_method (failed for a refund) | closed / refused |
/// | 402 | refused |
/// | code payment_intent_unexpected_state on a charge | closed |
/// | 404 with resource_missing on a find | not_found |
/// | 401, 403, 407, 429, 503 | unavailable: nothing was done, and the order is not to blame |
/// | 408, 409, 3xx, an unreadable 2xx | unknown |
/// | other 4xx | permanent |
/// | 5xx with code not_processed | transient |
/// | other 5xx | unknown |
domain::Outcome read_reply(domain::EffectKind kind, const net::HttpReply& reply);

/// What no answer means: `unavailable` where certainly nothing was sent, `permanent` where the
/// request cannot be written as HTTP, else `unknown`.
domain::Outcome read_failure(net::HttpClientError error);

}  // namespace penstock::gateway_http
