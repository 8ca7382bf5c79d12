#pragma once

#include <expected>
#include <string_view>

#include "adapters/postgres/connection.h"
#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/order.h"
#include "domain/stock.h"

/// Everything that a shared store holds, for an audit.
namespace penstock::postgres_store {

/// Told of each thing once, all as of one moment. What cannot be read is told as corrupt and the
/// dump goes on.
class DumpVisitor {
 public:
  virtual ~DumpVisitor() = default;

  virtual void active_order(const domain::Order& order) = 0;
  /// `receipt` is empty unless the order is fulfilled.
  virtual void ended_order(const domain::Order& order, std::string_view receipt) = 0;
  virtual void stock(const domain::TenantId& tenant, const domain::ProductId& product,
                     const domain::Stock& stock) = 0;
  virtual void idempotency(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
                           const domain::IdempotencyRecord& record) = 0;
  /// An order whose end is not worked off, or a delivery of it not over.
  virtual void waiting_delivery(const domain::OrderId& order) = 0;
  /// Months of history were dropped.
  virtual void history_dropped() = 0;
  /// A row of `table`.
  virtual void corrupt(std::string_view table, std::string_view row) = 0;
};

/// Reads the store in one snapshot (a repeatable-read transaction), whether or not processes work
/// on it: what it tells is consistent in itself. Orders are told before the stock. Fails where the
/// schema is of another version or the connection breaks.
std::expected<void, Failure> dump(const ConnectionOptions& options, DumpVisitor& visitor);

}  // namespace penstock::postgres_store
