#pragma once

#include "api/routes.h"

/// The handlers of all routes, one file a resource. Each answers its call exactly once, or hands
/// the reply to what will.
namespace penstock::api {

// place_order.cpp
/// POST /orders: places an order, or looks at the tenant's bucket (action check_rate_limit).
void place_order(Context& context, Call call);

// orders.cpp
/// GET /orders/{id}, ?wait=SECONDS.
void get_order(Context& context, Call call);
/// GET /orders/{id}/events.
void get_events(Context& context, Call call);
/// GET /orders/{id}/receipt: the stored bytes; 404 before the order is fulfilled.
void get_receipt(Context& context, Call call);
/// GET /orders/{id}/why.
void get_why(Context& context, Call call);
/// POST /orders/{id}/cancel: 202 with the order as it is then stored.
void cancel_order(Context& context, Call call);

// order_list.cpp
/// GET /orders: {orders, next_cursor}, newest first.
void list_orders(Context& context, Call call);

// inventory.cpp
/// GET, PUT /inventory/{id}; POST /inventory/{id}/restock.
void get_stock(Context& context, Call call);
void put_stock(Context& context, Call call);
void restock(Context& context, Call call);

// tenants.cpp
/// GET /tenants: {tenants, next_cursor}, by name.
void list_tenants(Context& context, Call call);
/// GET, PUT /tenants/{id}: the contract; a webhook's secret is never shown.
void get_tenant(Context& context, Call call);
void put_tenant(Context& context, Call call);

// queues.cpp
/// GET /queues: stages, and totals since the start.
void get_queues(Context& context, Call call);

// dead_letters.cpp
/// GET /dead-letters: {dead_letters, next_cursor}, by order id.
void list_dead_letters(Context& context, Call call);
/// POST /dead-letters/redrive: 202 {redriven: N}.
void redrive(Context& context, Call call);
/// POST /dead-letters/{id}/discard: 202 with the order as it is then stored.
void discard(Context& context, Call call);

// owed_refunds.cpp
/// GET /owed-refunds: {owed_refunds, next_cursor}, by order id.
void list_owed_refunds(Context& context, Call call);
/// GET /unresolved-charges: {unresolved_charges}, oldest first.
void list_unresolved_charges(Context& context, Call call);

// health.cpp
/// GET /healthz: 200 while the process lives. GET /readyz: 503 while recovering or draining.
void get_health(Context& context, Call call);
void get_readiness(Context& context, Call call);
/// GET /: the routes.
void get_root(Context& context, Call call);

// metrics.cpp
/// GET /metrics: the Prometheus text format (docs/metrics.md).
void get_metrics(Context& context, Call call);

// errors.cpp
/// GET /errors/{id}: what a problem's `type` or a reason's code means.
void get_error(Context& context, Call call);

}  // namespace penstock::api
