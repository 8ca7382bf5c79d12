#include "checker/audit.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "checker/clean_orders.h"

namespace penstock::checker {
namespace {

using domain::Order;
using domain::Status;

/// A small store with an order of each kind, and the ledger that belongs to it; a test changes one
/// thing before it is audited.
struct History {
  std::vector<Order> orders{fulfilled_order(1), declined_order(2), refunded_order(3),
                            rejected_order(4),  reserved_order(5), dead_lettered_order(6)};
  domain::Stock stock{.received = 100, .reserved = 4, .sold = 2};
  std::vector<Movement> ledger{capture_of(orders[0]), capture_of(orders[2]), refund_of(orders[2])};
  domain::IdempotencyRecord key{.order = orders[0].id, .expires_at = kStart};
  domain::TenantId key_tenant = domain::TenantId::unchecked("acme");
  std::vector<domain::OrderId> deliveries{orders[0].id};
  LedgerScope scope = LedgerScope::this_store;
  bool dropped = false;

  static Movement capture_of(const Order& order) {
    return {.kind = MovementKind::capture,
            .order = order.id,
            .key = order.id.str() + "/charge",
            .amount = order.total};
  }
  static Movement refund_of(const Order& order) {
    return {.kind = MovementKind::refund,
            .order = order.id,
            .key = order.id.str() + "/refund",
            .amount = order.total};
  }

  Report audit() const {
    Audit audit;
    if (dropped) audit.history_was_dropped();
    for (const Order& order : orders) {
      audit.add_order(order, order.status == Status::fulfilled ? ReceiptPresence::present
                                                               : ReceiptPresence::absent);
    }
    audit.add_stock(domain::TenantId::unchecked("acme"), domain::ProductId::unchecked("PROD-001"),
                    stock);
    audit.add_idempotency(key_tenant, "key-1", key);
    for (const domain::OrderId& order : deliveries) audit.add_delivery(order);
    audit.use_ledger(scope);
    for (const Movement& movement : ledger) audit.add_movement(movement);
    return audit.finish();
  }
};

bool has(const Report& report, Invariant invariant) {
  return report.broken.at(static_cast<std::size_t>(invariant)) > 0;
}

TEST(Audit, a_clean_history_passes_and_its_sums_are_told) {
  Report const report = History{}.audit();
  EXPECT_TRUE(report.clean()) << (report.findings.empty() ? "" : report.findings[0].detail);
  EXPECT_EQ(report.orders, 6U);
  EXPECT_EQ(report.movements, 3U);
  EXPECT_EQ(report.open_dead_letters, 1U);
  EXPECT_EQ(report.money.at("USD"),
            (MoneyTotals{.captured = 4000, .refunded = 2000, .fulfilled = 2000, .open = 0}));
  EXPECT_EQ(report.stock.on_hand, 94);
}

TEST(Audit, a_capture_of_an_order_in_flight_is_open_money) {
  History history;
  history.ledger.push_back(History::capture_of(history.orders[4]));
  Report const report = history.audit();
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.money.at("USD").open, 2000);
}

TEST(Audit, a_second_capture_is_found) {
  History history;
  history.ledger.push_back(History::capture_of(history.orders[0]));
  Report const report = history.audit();
  EXPECT_TRUE(has(report, Invariant::one_capture));
  EXPECT_TRUE(has(report, Invariant::all_or_nothing));
  EXPECT_TRUE(has(report, Invariant::money_balances));
}

TEST(Audit, a_fulfilled_order_that_was_never_captured_is_found) {
  History history;
  history.ledger.erase(history.ledger.begin());
  Report const report = history.audit();
  EXPECT_TRUE(has(report, Invariant::fulfilled_captured));
  EXPECT_TRUE(has(report, Invariant::record_matches_ledger));
}

TEST(Audit, a_capture_of_another_amount_or_currency_is_found) {
  History amount;
  amount.ledger[0].amount.minor_units -= 1;
  EXPECT_TRUE(has(amount.audit(), Invariant::fulfilled_captured));
  EXPECT_TRUE(has(amount.audit(), Invariant::all_or_nothing));
  History currency;
  currency.ledger[0].amount.currency = *domain::Currency::parse("EUR");
  EXPECT_TRUE(has(currency.audit(), Invariant::fulfilled_captured));
}

TEST(Audit, a_cancelled_order_whose_money_was_kept_is_found) {
  History history;
  history.ledger.pop_back();
  Report const report = history.audit();
  EXPECT_TRUE(has(report, Invariant::ended_pays_back));
  EXPECT_TRUE(has(report, Invariant::money_balances));
}

TEST(Audit, a_charged_order_whose_money_went_back_is_found_unless_it_is_taken_back) {
  History history;
  history.orders.push_back(charged_order(7));
  history.stock.reserved += 2;
  history.ledger.push_back(History::capture_of(history.orders.back()));
  EXPECT_FALSE(has(history.audit(), Invariant::record_matches_ledger));
  history.ledger.push_back(History::refund_of(history.orders.back()));
  EXPECT_TRUE(has(history.audit(), Invariant::record_matches_ledger));
  history.orders.back() = domain::cancel(history.orders.back(), kStart).value()->next;
  EXPECT_FALSE(has(history.audit(), Invariant::record_matches_ledger));
}

TEST(Audit, a_rejected_order_that_was_captured_is_found) {
  History history;
  history.ledger.push_back(History::capture_of(history.orders[3]));
  EXPECT_TRUE(has(history.audit(), Invariant::ended_pays_back));
}

TEST(Audit, a_refund_beyond_the_capture_is_found) {
  History history;
  history.ledger.push_back(History::refund_of(history.orders[2]));
  EXPECT_TRUE(has(history.audit(), Invariant::refund_within_capture));
}

TEST(Audit, money_under_a_key_that_is_not_the_orders_is_found) {
  History history;
  history.ledger[0].key = "another/charge";
  EXPECT_TRUE(has(history.audit(), Invariant::record_matches_ledger));
}

TEST(Audit, money_that_moved_for_an_unknown_order_is_found_unless_the_gateway_is_shared) {
  History history;
  history.ledger.push_back(History::capture_of(fulfilled_order(99)));
  EXPECT_TRUE(has(history.audit(), Invariant::stored_once));
  EXPECT_TRUE(has(history.audit(), Invariant::money_balances));
  history.scope = LedgerScope::shared;
  EXPECT_TRUE(history.audit().clean());
}

TEST(Audit, an_order_stored_twice_is_found) {
  History history;
  history.orders.push_back(history.orders[3]);
  EXPECT_TRUE(has(history.audit(), Invariant::stored_once));
}

TEST(Audit, stock_that_does_not_add_up_is_found) {
  History sold;
  sold.stock.sold += 1;
  EXPECT_TRUE(has(sold.audit(), Invariant::stock_balances));
  History reserved;
  reserved.stock.reserved -= 1;
  EXPECT_TRUE(has(reserved.audit(), Invariant::stock_balances));
}

TEST(Audit, an_oversold_product_is_found) {
  History history;
  history.stock.received = 5;
  Report const report = history.audit();
  EXPECT_TRUE(has(report, Invariant::no_negative_term));
}

TEST(Audit, a_product_that_was_sold_without_any_stock_is_found) {
  History history;
  history.orders[0].items[0].product = domain::ProductId::unchecked("OTHER");
  history.stock.sold = 0;
  EXPECT_TRUE(has(history.audit(), Invariant::stock_balances));
}

TEST(Audit, an_idempotency_key_of_a_missing_order_is_found) {
  History history;
  history.key.order = domain::OrderId::make(kStart, 0, 4711);
  EXPECT_TRUE(has(history.audit(), Invariant::key_names_order));
}

TEST(Audit, an_idempotency_key_of_another_tenants_order_is_found) {
  History history;
  history.key_tenant = domain::TenantId::unchecked("other");
  EXPECT_TRUE(has(history.audit(), Invariant::key_names_order));
}

TEST(Audit, a_delivery_of_an_order_that_has_not_ended_is_found) {
  History history;
  history.deliveries.push_back(history.orders[4].id);
  EXPECT_TRUE(has(history.audit(), Invariant::delivery_of_ended));
}

TEST(Audit, a_record_that_cannot_be_read_is_found) {
  Audit audit;
  audit.add_unreadable("active/0123", "checksum");
  Report const report = audit.finish();
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].subject, "active/0123");
}

TEST(Audit, dropped_months_take_orders_away_without_a_complaint) {
  History history;
  history.dropped = true;
  history.orders.erase(history.orders.begin());
  history.deliveries.clear();
  Report const report = history.audit();
  EXPECT_TRUE(report.clean()) << (report.findings.empty() ? "" : report.findings[0].detail);
  EXPECT_FALSE(report.whole_history);
}

TEST(Audit, more_findings_than_are_listed_are_still_counted) {
  Audit audit;
  for (std::size_t finding = 0; finding < kMaxFindings + 5; ++finding) {
    audit.add_unreadable(std::to_string(finding), "checksum");
  }
  Report const report = audit.finish();
  EXPECT_EQ(report.findings.size(), kMaxFindings);
  EXPECT_EQ(report.violations(), kMaxFindings + 5);
}

TEST(Report, invariants_have_distinct_names_and_a_meaning) {
  std::vector<std::string_view> names;
  for (std::size_t index = 0; index < kInvariants; ++index) {
    auto const invariant = static_cast<Invariant>(index);
    for (std::string_view const name : names) EXPECT_NE(name, to_string(invariant));
    names.push_back(to_string(invariant));
    EXPECT_FALSE(meaning_of(invariant).empty());
    EXPECT_GT(number_of(invariant), 0);
  }
}

}  // namespace
}  // namespace penstock::checker
