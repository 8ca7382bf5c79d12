#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"

/// The first stage: what a client sent becomes an order, or is refused with every broken rule.
namespace penstock::pipeline {

struct DraftItem {
  std::string_view product_id;
  std::int64_t quantity = 1;
  std::string_view price;  ///< a decimal, as it was written
};

/// An order as it was sent: types are right, rules are not checked yet. Views into the request.
struct Draft {
  std::string_view tenant_id;
  std::string_view customer_id;
  std::string_view currency = "USD";
  std::string_view payment_method = "pm_ok";
  std::vector<DraftItem> items;
  std::vector<std::pair<std::string_view, std::string_view>> metadata;
  domain::CorrelationId correlation;
  std::string_view traceparent;  ///< a valid one, or empty
};

struct FieldError {
  std::string pointer;    ///< JSON pointer into the order: "/items/0/price"
  std::string_view code;  ///< "too-precise", "out-of-range", "invalid", ...
  std::string detail;     ///< a sentence: what was sent, and what is allowed
};

/// "/metadata/NAME", escaped as RFC 6901 says; "/metadata" for an empty or overlong name.
std::string metadata_pointer(std::string_view name);

/// Checks every rule of api.md and makes the order that PlaceOrder takes (id, version and times are
/// still empty). At most 100 errors are listed. Pure; any thread.
std::expected<domain::Order, std::vector<FieldError>> make_order(const Draft& draft);

/// True for a W3C traceparent (https://www.w3.org/TR/trace-context/) of version 00 to fe, in lower
/// case whose ids are not all zero.
bool is_valid_traceparent(std::string_view text);

}  // namespace penstock::pipeline
