#pragma once

#include <optional>
#include <string_view>

/// Every code that a client, an operator or a log can meet, once. A code's page is
/// docs/errors/<text>.md (checked by the tidy test); `penstock explain` prints it.
///
/// X(enumerator, "text", HTTP status or 0 where it is never an answer, "title")
#define PENSTOCK_ERROR_CODES(X)                                                                   \
  X(malformed_json, "malformed-json", 400, "The body is not valid JSON")                          \
  X(bad_request, "bad-request", 400, "The request is not valid HTTP")                             \
  X(invalid_parameter, "invalid-parameter", 400, "A query parameter is not valid")                \
  X(invalid_cursor, "invalid-cursor", 400, "The cursor is not valid")                             \
  X(idempotency_key_conflict, "idempotency-key-conflict", 400,                                    \
    "The header and the body have different idempotency keys")                                    \
  X(idempotency_key_invalid, "idempotency-key-invalid", 400, "The idempotency key is not valid")  \
  X(unauthorized, "unauthorized", 401, "A valid API key is required")                             \
  X(forbidden, "forbidden", 403, "The key does not allow this")                                   \
  X(not_found, "not-found", 404, "Not found")                                                     \
  X(method_not_allowed, "method-not-allowed", 405, "The resource does not support this method")   \
  X(request_timeout, "request-timeout", 408, "The request was not received in time")              \
  X(idempotency_in_progress, "idempotency-in-progress", 409,                                      \
    "The first request with this key is still being processed")                                   \
  X(order_already_terminal, "order-already-terminal", 409,                                        \
    "The order has ended and cannot be cancelled")                                                \
  X(not_a_dead_letter, "not-a-dead-letter", 409, "The order is not an open dead letter")          \
  X(stock_below_held, "stock-limit", 409, "The stock would exceed its limit")                     \
  X(precondition_failed, "precondition-failed", 412,                                              \
    "The resource is no longer what If-Match names")                                              \
  X(body_too_large, "body-too-large", 413, "The body is too large")                               \
  X(unsupported_media_type, "unsupported-media-type", 415, "The body must be application/json")   \
  X(invalid_order, "invalid-order", 422, "The order is not valid")                                \
  X(invalid_body, "invalid-body", 422, "The body is not valid")                                   \
  X(idempotency_key_reused, "idempotency-key-reused", 422,                                        \
    "The idempotency key was used for another request")                                           \
  X(cost_exceeds_capacity, "cost-exceeds-capacity", 422,                                          \
    "The bucket can never hold that many tokens")                                                 \
  X(invalid_contract, "invalid-contract", 422, "The contract is not valid")                       \
  X(too_many_tenants, "too-many-tenants", 422, "The limit of tenants is reached")                 \
  X(quota_exceeded, "quota-exceeded", 429, "The tenant has used up its contract rate")            \
  X(too_many_failures, "too-many-failures", 429,                                                  \
    "Too many requests with a wrong key came from this address")                                  \
  X(header_too_large, "header-too-large", 431, "The request head is too large")                   \
  X(reduced_capacity, "temporarily-reduced-capacity", 503,                                        \
    "The system cannot take more at the moment")                                                  \
  X(draining, "draining", 503, "The server is starting or stopping")                              \
  X(http_version, "http-version", 505, "Only HTTP/1.0 and HTTP/1.1 are supported")                \
  X(store_failed, "store-failed", 0, "The store failed to write and the server stopped")          \
  X(store_unreachable, "store-unreachable", 0,                                                    \
    "The database cannot be reached or refuses the work")                                         \
  X(disk_full, "disk-full", 0, "The disk is full")                                                \
  X(store_locked, "store-locked", 0, "Another process has the data directory open")               \
  X(store_inaccessible, "store-inaccessible", 0, "The store's files cannot be opened or written") \
  X(store_incomplete, "store-incomplete", 0, "A file of the store is missing or an old copy")     \
  X(store_layout, "store-layout", 0,                                                              \
    "The data directory has a format that this program does not know")                            \
  X(store_sealed, "store-sealed", 0, "The data directory was moved to another store")             \
  X(store_corrupt, "store-corrupt", 0, "A stored record is damaged")                              \
  X(clock_moved, "clock-moved", 0, "The clock is far from the last stored time")

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
