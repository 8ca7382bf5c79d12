#pragma once

#include <string_view>

#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/order.h"
#include "domain/stock.h"

namespace penstock::ports {

/// What every store can tell of all that it holds, for an audit: each thing once, orders before the
/// stock. A visitor overrides what it wants to be told. What cannot be read is told as corrupt, and
/// the dump goes on.
class DumpVisitor {
 public:
  virtual ~DumpVisitor() = default;

  virtual void active_order(const domain::Order&) {}
  /// The receipt is empty unless the order is fulfilled.
  virtual void ended_order(const domain::Order&, std::string_view /*receipt*/) {}
  virtual void stock(const domain::TenantId&, const domain::ProductId&, const domain::Stock&) {}
  virtual void idempotency(const domain::TenantId&, const domain::IdempotencyKey&,
                           const domain::IdempotencyRecord&) {}
  /// An order whose end is not worked off, or a delivery of it not over.
  virtual void waiting_delivery(const domain::OrderId&) {}
  /// Months of history were dropped.
  virtual void history_dropped() {}
  /// A record, in words, and the table or family that it is in.
  virtual void corrupt(std::string_view /*place*/, std::string_view /*record*/) {}
};

}  // namespace penstock::ports
