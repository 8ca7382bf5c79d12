#pragma once

#include "api/routes.h"

/// The handlers of all routes, one file a resource. Each answers its call exactly once, or hands
/// the reply to what will. Those that return an Finish read the store, in the pool (routes.h).
namespace penstock::api {

// place_order.cpp
/// POST /orders: places an order, or looks at the tenant's bucket (action check_rate_limit).
void place_order(Context& context, Call call);

// orders.cpp
/// GET /orders/{id}, ?wait=SECONDS.
Finish get_order(const Reads& reads, const ReadCall& call);
/// GET /orders/{id}/events.
Finish get_events(const Reads& reads, const ReadCall& call);
/// GET /orders/{id}/receipt: the stored bytes; 404 before the order is fulfilled.
Finish get_receipt(const Reads& reads, const ReadCall& call);
/// GET /orders/{id}/why.
Finish get_why(const Reads& reads, const ReadCall& call);
/// POST /orders/{id}/cancel: 202 with the order as it is then stored.
Finish cancel_order(const Reads& reads, const ReadCall& call);

// order_list.cpp
/// GET /orders: {orders, next_cursor}, newest first.
Finish list_orders(const Reads& reads, const ReadCall& call);

// inventory.cpp
/// GET, PUT /inventory/{id}; POST /inventory/{id}/restock.
Finish get_stock(const Reads& reads, const ReadCall& call);
void put_stock(Context& context, Call call);
void restock(Context& context, Call call);

// tenants.cpp
/// GET /tenants: {tenants, next_cursor}, by name.
Finish list_tenants(const Reads& reads, const ReadCall& call);
/// GET, PUT /tenants/{id}: the contract; a webhook's secret is never shown. A PUT changes what its
/// body names of the contract in force, which it reads in the pool.
Finish get_tenant(const Reads& reads, const ReadCall& call);
void put_tenant(Context& context, Call call);

// queues.cpp
/// GET /queues: stages, and totals since the start.
void get_queues(Context& context, Call call);

// dead_letters.cpp
/// GET /dead-letters: {dead_letters, next_cursor}, by order id.
Finish list_dead_letters(const Reads& reads, const ReadCall& call);
/// POST /dead-letters/redrive: 202 {redriven: N}.
void redrive(Context& context, Call call);
/// POST /dead-letters/{id}/discard: 202 with the order as it is then stored.
void discard(Context& context, Call call);

// owed_refunds.cpp
/// GET /owed-refunds: {owed_refunds, next_cursor}, by order id.
Finish list_owed_refunds(const Reads& reads, const ReadCall& call);
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
