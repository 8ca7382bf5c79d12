#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "api/problem.h"
#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/order.h"
#include "net/http_message.h"
#include "net/json.h"

namespace penstock::api {

/// The Idempotency-Key header: an RFC 8941 string or the bare key, so that "abc" and abc are the
/// same. Nothing where it is absent. Problem: idempotency-key-invalid for a malformed string, a
/// character that is not printable ASCII, more than 255 of them, or a doubled header.
std::expected<std::optional<domain::IdempotencyKey>, Problem> idempotency_key_of(
    const net::HttpHeaders& headers);

/// The key in force from the header and the body's idempotency_key. Problems: as above for the
/// body's, and idempotency-key-conflict where both are there and differ.
std::expected<std::optional<domain::IdempotencyKey>, Problem> merge_idempotency_keys(
    std::optional<domain::IdempotencyKey> header, std::optional<std::string_view> body);

/// SHA-256 over "POST", the route and the order as it was understood: with the defaults filled in,
/// null like absent, amounts as exact minor units, without idempotency_key and action; and members
/// that the API does not know, canonical, as they were sent. `body` is the object that `order` was
/// read from. An order has the same fingerprint whether it is sent alone or as a line of a batch.
domain::Fingerprint fingerprint_of_order(net::JsonView body, const domain::Order& order);

}  // namespace penstock::api
