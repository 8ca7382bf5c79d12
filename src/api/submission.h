#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "api/caller.h"
#include "api/problem.h"
#include "domain/ids.h"
#include "domain/order.h"
#include "net/json.h"
#include "ports/order_store.h"

namespace penstock::api {

/// An order as somebody sent it, and what its envelope says. Borrows all of it.
struct SubmissionSource {
  net::JsonView body;  ///< an object
  const Caller& caller;
  const std::optional<domain::IdempotencyKey>& header_key;  ///< the Idempotency-Key header's
  const domain::CorrelationId& correlation;
  std::string_view traceparent;  ///< valid or empty
};

/// What the pipeline is to place.
struct Submission {
  domain::Order draft;
  std::optional<ports::IdempotencyClaim> idempotency;
};

/// Reads and checks one order: the body of POST /orders, or one line of a batch. Problems, in this
/// order: forbidden (another tenant's), idempotency-key-invalid and -conflict, invalid-order with
/// every wrong field.
std::expected<Submission, Problem> read_submission(const SubmissionSource& source);

/// The tenant that a request is about: the one it names, else the caller's. Problems: forbidden,
/// and `invalid` at `pointer` for what is no tenant's name.
struct TenantChoice {
  std::optional<std::string_view> named;
  std::string_view pointer = "/tenant_id";
  domain::ErrorCode invalid = domain::ErrorCode::invalid_body;
};
std::expected<domain::TenantId, Problem> choose_tenant(const Caller& caller,
                                                       const TenantChoice& choice);

/// The answer to a caller who may not do this.
Problem forbidden(std::string_view detail);

}  // namespace penstock::api
