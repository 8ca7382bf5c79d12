#pragma once

#include <string>

#include "domain/order.h"

namespace penstock::webhook {

/// Appends the order as the API shows it (order_id, status, tenant_id, customer_id, items, total,
/// metadata, correlation_id, version, created_at, updated_at, and reason where there is one).
/// Amounts are exact decimals.
void append_order(const domain::Order& order, std::string& out);

}  // namespace penstock::webhook
