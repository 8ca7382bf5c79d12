#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/cursor.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "net/json_writer.h"
#include "pipeline/request.h"
#include "ports/order_reader.h"

/// How an order and its parts are written in answers.
namespace penstock::api {

/// "items": [{product_id, quantity, price}], the price as a decimal string.
void append_items(const domain::Order& order, net::JsonWriter& writer);

/// `name`: {amount, minor_units, currency}.
void append_money(std::string_view name, domain::Money money, net::JsonWriter& writer);

/// `name`: RFC 3339, or null.
void append_time(std::string_view name, std::optional<domain::Instant> at, net::JsonWriter& writer);

/// `name`: the reason's code, or null for none.
void append_reason(std::string_view name, domain::Reason reason, net::JsonWriter& writer);

/// "next_cursor": the page's continuation, or null at its end.
void append_next_cursor(CursorList list, const std::optional<domain::OrderId>& next,
                        net::JsonWriter& writer);

/// "open", "compensated", "discarded".
std::string_view to_string(domain::DeadLetterState state);

/// The whole order as GET /orders/{id} shows it, as one object.
void append_order(const domain::Order& order, net::JsonWriter& writer);
std::string order_body(const domain::Order& order);

/// {order_id, events}: the timeline, oldest first, then the deliveries, which have no version.
std::string events_body(const ports::StoredOrder& stored);

/// {order_id, status, waiting_for, stage, since, attempt, last_error, next_retry_at, effect,
/// in_flight, unanswered, peer}; waiting_for is nothing, redrive-or-discard, gateway, fulfiller
/// (both also while the stage is paused because its peer is away), another-process, retry, bound,
/// careful-run, turn or webhook (the order has ended; its tenant's endpoint is tried again); peer
/// is null or {trouble, detail, away_since}.
std::string why_body(const ports::StoredOrder& stored, const pipeline::Progress& progress,
                     domain::Instant now);

/// Since when the order is in its present status.
domain::Instant in_status_since(const domain::Order& order);

}  // namespace penstock::api
