#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "checker/event.h"
#include "checker/order_state.h"
#include "checker/report.h"
#include "domain/int128.h"

namespace penstock::checker {

/// Whether records are known when the gateway acts, so that the two can be compared at once.
enum class Records : std::uint8_t { followed, unknown };

/// The gateway's ledger beside the records. Three legs an account (tenant and currency), kept from
/// independent sources: what the gateway moved, what records say is captured, and the totals that
/// may be between the two (captured and not recorded yet, paid back and not recorded yet). They
/// balance at every prefix.
class MoneyBook {
 public:
  MoneyBook(Records records, Report& report) : records_(records), report_(report) {}

  void charge_asked(const GatewayAct& act, OrderState& order);
  void refund_asked(const GatewayAct& act, OrderState& order);
  void captured(const Captured& act, OrderState& order);
  void refunded(const GatewayAct& act, OrderState& order);
  /// The key can never capture: closed or declined.
  void given_up(const GatewayAct& act, OrderState& order);

  /// A record was committed; `order` is what `follow_commit` left, `before` its charge until then.
  void committed(const domain::Order& record, domain::Charge before, OrderState& order);

 private:
  struct Account {
    domain::Int128 moved = 0;      ///< ledger: captured - refunded
    domain::Int128 recorded = 0;   ///< totals of records that say captured
    domain::Int128 in_flight = 0;  ///< totals that may be between the two
  };

  Account& account_of(TenantNumber tenant, domain::Currency currency);
  void check_amount(const GatewayAct& act, OrderState& order);
  void move(const GatewayAct& act, std::int64_t minor_units, OrderState& order);
  void settle(const domain::OrderId& id, OrderState& order, Account& account);

  Records records_;
  Report& report_;
  std::unordered_map<std::uint64_t, Account> accounts_;
};

}  // namespace penstock::checker
