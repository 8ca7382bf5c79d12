#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checker/order_rules.h"
#include "checker/report.h"
#include "domain/idempotency.h"
#include "domain/ids.h"
#include "domain/money.h"
#include "domain/order.h"
#include "domain/stock.h"

namespace penstock::checker {

enum class MovementKind : std::uint8_t { capture, refund };

/// One line of the gateway's ledger.
struct Movement {
  MovementKind kind = MovementKind::capture;
  domain::OrderId order;
  std::string key;  ///< the idempotency key it moved under
  domain::Money amount;
};

/// Whether the gateway served nobody but the audited store.
enum class LedgerScope { this_store, shared };

/// An audit of one store at rest, and of its gateway's ledger where there is one. Feed it every
/// record in any order, then `finish` once. Keeps about 40 bytes an order and 40 a movement. Not
/// thread-safe. Knows nothing of how records are stored.
class Audit {
 public:
  void add_order(const domain::Order& order, ReceiptPresence receipt);
  void add_stock(const domain::TenantId& tenant, const domain::ProductId& product,
                 const domain::Stock& stock);
  void add_idempotency(const domain::TenantId& tenant, std::string_view key,
                       const domain::IdempotencyRecord& record);
  /// A notification that is owed or was made for an order.
  void add_delivery(const domain::OrderId& order);
  /// A record that could not be read: what it is, and why.
  void add_unreadable(std::string subject, std::string detail);
  /// A ledger is present, even if it has no line.
  void use_ledger(LedgerScope scope);
  void add_movement(const Movement& movement);
  /// Months were dropped: sums over all orders are not expected to hold any more.
  void history_was_dropped() { report_.whole_history = false; }

  /// Checks what spans records and gives the report. Once.
  Report finish();

 private:
  using Product = std::pair<domain::TenantId, domain::ProductId>;

  /// What the checks over all orders need of one.
  struct Summary {
    domain::OrderId id;
    std::int64_t total = 0;
    domain::Currency currency;
    domain::Status status = domain::Status::placed;
    domain::Charge charge = domain::Charge::none;
    std::uint32_t tenant = 0;
  };
  struct LedgerLine {
    domain::OrderId order;
    std::int64_t minor_units = 0;
    domain::Currency currency;
    MovementKind kind = MovementKind::capture;
  };
  struct Moved {
    std::int64_t captured = 0;
    std::int64_t refunded = 0;
    std::uint32_t captures = 0;
    bool other_currency = false;
  };
  struct Pieces {
    std::int64_t reserved = 0;
    std::int64_t sold = 0;
  };
  struct KeyedOrder {
    domain::OrderId order;
    std::uint32_t tenant = 0;
    std::string key;
  };

  std::uint32_t number_of(const domain::TenantId& tenant);
  const Summary* find(const domain::OrderId& order) const;
  void check_stored_once();
  void check_keys();
  void check_deliveries();
  void check_stock();
  void check_ledger();
  void check_money(const Summary& order, const Moved& moved);
  void check_record_against(const Summary& order, const Moved& moved);

  Report report_;
  std::vector<Summary> orders_;
  std::vector<LedgerLine> ledger_;
  LedgerScope scope_ = LedgerScope::this_store;
  std::vector<KeyedOrder> keys_;
  std::vector<domain::OrderId> deliveries_;
  std::map<Product, Pieces> pieces_;
  std::map<Product, domain::Stock> stock_;
  std::unordered_map<domain::TenantId, std::uint32_t> tenants_;
};

}  // namespace penstock::checker
