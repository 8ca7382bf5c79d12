#pragma once

#include <string_view>

#include "domain/saga.h"
#include "net/http_client.h"

namespace penstock::webhook {

/// What the hook's answer to a request of `kind` says (http_fulfiller.h has the protocol). A page
/// of a proxy is no answer of the hook: where a body is there and is not a JSON object, only a
/// status that tells that nothing was done is believed, and all else is `unknown`. Pure.
domain::Outcome read_fulfillment(domain::EffectKind kind, const net::HttpReply& reply);

/// What no answer means: `unavailable` where certainly nothing was sent, `permanent` where the
/// request cannot be written as HTTP, else `unknown`. `peer` is "host:port", for people.
domain::Outcome read_no_fulfillment(net::HttpClientError error, std::string_view peer);

}  // namespace penstock::webhook
