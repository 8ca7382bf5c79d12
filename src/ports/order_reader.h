#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "domain/contract.h"
#include "domain/fair_share.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/limits.h"
#include "domain/order.h"
#include "domain/stock.h"
#include "ports/order_store.h"

namespace penstock::ports {

/// A notification of a terminal order. Has no version. The first of an order is the note of its
/// end, `end_noted`; each other is one webhook attempt.
struct Delivered {
  domain::Instant at;
  std::int32_t attempt = 1;
  domain::Reason reason = domain::Reason::end_noted;
};

/// An order as it is stored, with what belongs to it.
struct StoredOrder {
  domain::Order order;
  std::string receipt;                ///< empty unless fulfilled
  std::vector<Delivered> deliveries;  ///< oldest first
};

/// A page of a tenant's orders, newest first.
struct OrderQuery {
  domain::TenantId tenant;  ///< empty: all tenants
  std::optional<domain::Status> status;
  std::optional<domain::Instant> created_from;  ///< inclusive
  std::optional<domain::Instant> created_to;    ///< exclusive
  std::optional<domain::OrderId> before;        ///< the cursor: only older ids
  std::size_t limit = 50;
  std::size_t max_bytes = domain::limits::kMaxPageBytes;  ///< of the page, see PageBudget
};

struct DeadLetterQuery {
  domain::TenantId tenant;  ///< empty: all
  std::optional<domain::Stage> stage;
  std::optional<domain::Reason> error;   ///< matches the last error
  std::optional<domain::OrderId> after;  ///< the cursor: only later ids
  std::size_t limit = 50;
  std::size_t max_bytes = domain::limits::kMaxPageBytes;  ///< of the page, see PageBudget
};

/// A page; `next` continues behind the last one, absent at the end.
struct OrderPage {
  std::vector<domain::Order> orders;
  std::optional<domain::OrderId> next;
};

/// Reader side. Any thread; sees exactly what was synced. Bounded work and memory a call: a
/// filtered list, or one of large orders (page_budget.h), may return a short page with `next` set.
/// Errors: unavailable, corrupt, stopped.
class OrderReader {
 public:
  virtual ~OrderReader() = default;

  virtual std::expected<std::optional<StoredOrder>, StoreError> find(
      const domain::OrderId& order) const = 0;

  /// Those of `orders` that are terminal; one that is missing is not. For those who wait for ends
  /// which another process brings about: a shared store answers for all of them at once.
  virtual std::expected<std::vector<domain::OrderId>, StoreError> ended(
      std::span<const domain::OrderId> orders) const {
    std::vector<domain::OrderId> found;
    for (const domain::OrderId& order : orders) {
      auto const stored = find(order);
      if (!stored) return std::unexpected(stored.error());
      if (*stored && is_terminal((*stored)->order.status)) found.push_back(order);
    }
    return found;
  }

  virtual std::expected<OrderPage, StoreError> list(const OrderQuery& query) const = 0;

  /// Orders with a dead-letter mark that is open, or compensated and still the record; by id.
  virtual std::expected<OrderPage, StoreError> dead_letters(const DeadLetterQuery& query) const = 0;

  /// Active orders in cancelling whose captured money is not paid back yet, by id.
  virtual std::expected<OrderPage, StoreError> owed_refunds(std::optional<domain::OrderId> after,
                                                            std::size_t limit) const = 0;

  /// Nothing where no stock was ever set.
  virtual std::expected<std::optional<domain::Stock>, StoreError> stock(
      const domain::TenantId& tenant, const domain::ProductId& product) const = 0;

  /// The contract in force: the stored one, else the default.
  virtual std::expected<domain::Contract, StoreError> contract(
      const domain::TenantId& tenant) const = 0;

  /// The contracts in force of `tenants`, in their order: at once where the store is shared.
  virtual std::expected<std::vector<domain::Contract>, StoreError> contracts_of(
      std::span<const domain::TenantId> tenants) const {
    std::vector<domain::Contract> in_force;
    in_force.reserve(tenants.size());
    for (const domain::TenantId& tenant : tenants) {
      auto each = contract(tenant);
      if (!each) return std::unexpected(each.error());
      in_force.push_back(*std::move(each));
    }
    return in_force;
  }

  /// What the tenant counts as where a room is shared: cheap, asked for every order. A shared store
  /// may tell a contract some seconds late, and while it is away as it was last seen.
  virtual domain::Standing standing(const domain::TenantId& tenant) const = 0;

  /// Tenants with a stored contract or an order, by name; at most `limit`, only names > `after`.
  virtual std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, StoreError>
  contracts(const domain::TenantId& after, std::size_t limit) const = 0;
};

}  // namespace penstock::ports
