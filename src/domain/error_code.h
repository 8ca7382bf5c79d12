#pragma once

#include <optional>
#include <string_view>

/// Every code that a client, an operator or a log can meet, once. A code's page is
/// docs/errors/<text>.md (checked by the tidy test); `penstock explain` prints it.
///
/// X(enumerator, "text", HTTP status or 0 where it is never an answer, "title")
#define PENSTOCK_ERROR_CODES(X)                                                                    \
  X(malformed_json, "malformed-json", 400, "The body is not strict JSON")                          \
  X(bad_request, "bad-request", 400, "The request cannot be read")                                 \
  X(invalid_parameter, "invalid-parameter", 400, "A query parameter has a wrong form")             \
  X(invalid_cursor, "invalid-cursor", 400, "The cursor was not issued by this server")             \
  X(idempotency_key_conflict, "idempotency-key-conflict", 400,                                     \
    "Header and body name different idempotency keys")                                             \
  X(idempotency_key_invalid, "idempotency-key-invalid", 400,                                       \
    "The idempotency key has a wrong form")                                                        \
  X(unauthorized, "unauthorized", 401, "A valid API key is needed")                                \
  X(forbidden, "forbidden", 403, "The key does not reach this tenant or operation")                \
  X(not_found, "not-found", 404, "There is nothing here")                                          \
  X(method_not_allowed, "method-not-allowed", 405, "The resource has no such method")              \
  X(request_timeout, "request-timeout", 408, "The request came too slowly")                        \
  X(idempotency_in_progress, "idempotency-in-progress", 409,                                       \
    "The first request with this key is still running")                                            \
  X(order_already_terminal, "order-already-terminal", 409,                                         \
    "The order has ended and cannot be cancelled")                                                 \
  X(not_a_dead_letter, "not-a-dead-letter", 409, "The order is no dead letter that can be moved")  \
  X(stock_below_held, "stock-limit", 409, "The stock would pass its limit")                        \
  X(body_too_large, "body-too-large", 413, "The body is larger than the limit")                    \
  X(unsupported_media_type, "unsupported-media-type", 415, "The body must be JSON")                \
  X(invalid_order, "invalid-order", 422, "The order breaks a rule of its fields")                  \
  X(invalid_body, "invalid-body", 422, "The body breaks a rule of its fields")                     \
  X(idempotency_key_reused, "idempotency-key-reused", 422,                                         \
    "The key was used with another request")                                                       \
  X(cost_exceeds_capacity, "cost-exceeds-capacity", 422,                                           \
    "The bucket can never hold as many tokens")                                                    \
  X(invalid_contract, "invalid-contract", 422, "The tenant's contract is out of bounds")           \
  X(too_many_tenants, "too-many-tenants", 422, "The number of tenants is at its limit")            \
  X(quota_exceeded, "quota-exceeded", 429, "The tenant's contract rate is used up")                \
  X(header_too_large, "header-too-large", 431, "The request head is larger than the limit")        \
  X(reduced_capacity, "temporarily-reduced-capacity", 503,                                         \
    "The pipeline carries less than is offered now")                                               \
  X(draining, "draining", 503, "The server is stopping or recovering")                             \
  X(http_version, "http-version", 505, "Only HTTP/1.0 and HTTP/1.1 are spoken")                    \
  X(store_failed, "store-failed", 0, "The store failed to sync and the server stopped")            \
  X(disk_full, "disk-full", 0, "The disk is full; intake is paused or the server stopped")         \
  X(store_locked, "store-locked", 0, "Another process has the data directory open")                \
  X(store_layout, "store-layout", 0, "The data directory has a layout this program does not know") \
  X(store_sealed, "store-sealed", 0, "The data directory was moved to another store")              \
  X(store_corrupt, "store-corrupt", 0, "A stored record does not match its checksum or form")      \
  X(clock_moved, "clock-moved", 0, "The wall clock is far from the last stored time")

namespace penstock::domain {

enum class ErrorCode {
#define X(name, text, status, title) name,
  PENSTOCK_ERROR_CODES(X)
#undef X
};

/// "quota-exceeded".
std::string_view to_string(ErrorCode code);
/// One sentence for people.
std::string_view title_of(ErrorCode code);
/// The HTTP status it is answered with; 0 if it never is.
int status_of(ErrorCode code);
std::optional<ErrorCode> parse_error_code(std::string_view text);

}  // namespace penstock::domain
