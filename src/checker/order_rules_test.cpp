#include "checker/order_rules.h"

#include <string>

#include <gtest/gtest.h>

#include "checker/clean_orders.h"

namespace penstock::checker {
namespace {

using domain::Order;
using domain::Status;

Report report_of(const Order& order) {
  Report report;
  check_order(
      order, order.status == Status::fulfilled ? ReceiptPresence::present : ReceiptPresence::absent,
      report);
  return report;
}

/// Exactly this invariant is broken.
void expect_broken(const Order& order, Invariant invariant) {
  Report const report = report_of(order);
  EXPECT_FALSE(report.clean());
  for (const Finding& finding : report.findings) {
    EXPECT_EQ(to_string(finding.invariant), to_string(invariant)) << finding.detail;
    EXPECT_EQ(finding.subject, order.id.str());
  }
}

TEST(OrderRules, orders_in_every_status_that_the_saga_makes_are_clean) {
  for (const Order& order :
       {placed_order(), reserved_order(), charged_order(), fulfilled_order(), declined_order(),
        refunded_order(), rejected_order(), dead_lettered_order()}) {
    Report const report = report_of(order);
    EXPECT_TRUE(report.clean()) << domain::to_string(order.status) << ": "
                                << (report.findings.empty() ? "" : report.findings[0].detail);
  }
}

TEST(OrderRules, an_expired_dead_letter_that_was_compensated_is_clean) {
  Order const order = dead_lettered_order();
  Order const given_up = domain::discard(order, order.due).value().next;
  EXPECT_TRUE(report_of(given_up).clean());
  EXPECT_TRUE(report_of(next_of(given_up)).clean());
}

TEST(OrderRules, a_missing_version_is_found) {
  Order order = fulfilled_order();
  order.timeline.erase(order.timeline.begin() + 1);
  Report const report = report_of(order);
  EXPECT_GT(report.broken.at(static_cast<std::size_t>(Invariant::versions_without_gaps)), 0U);
}

TEST(OrderRules, a_version_that_its_events_do_not_reach_is_found) {
  Order order = reserved_order();
  order.version.number += 1;
  expect_broken(order, Invariant::versions_without_gaps);
}

TEST(OrderRules, an_illegal_transition_is_found) {
  Order order = placed_order();
  order.timeline.push_back(
      {.version = {2}, .at = kStart, .from = Status::placed, .to = Status::cancelled});
  order.timeline.push_back(
      {.version = {3}, .at = kStart, .from = Status::placed, .to = Status::cancelled});
  order.version = {3};
  order.status = Status::cancelled;
  expect_broken(order, Invariant::one_terminal_state);

  Order jumped = placed_order();
  jumped.timeline.push_back(
      {.version = {2}, .at = kStart, .from = Status::placed, .to = Status::charged});
  jumped.version = {2};
  jumped.status = Status::charged;
  jumped.charge = domain::Charge::captured;
  jumped.capture_reference = "ch_1";
  jumped.holds_stock = true;
  expect_broken(jumped, Invariant::legal_transitions);
}

TEST(OrderRules, a_status_that_is_not_the_last_events_is_found) {
  Order order = reserved_order();
  order.timeline.back().to = Status::placed;
  expect_broken(order, Invariant::legal_transitions);
}

TEST(OrderRules, an_event_behind_the_end_is_found) {
  Order order = fulfilled_order();
  order.timeline.push_back({.version = {order.version.number + 1},
                            .at = kStart,
                            .from = Status::fulfilled,
                            .to = Status::fulfilled});
  order.version.number += 1;
  expect_broken(order, Invariant::one_terminal_state);
}

TEST(OrderRules, a_receipt_too_many_or_too_few_is_found) {
  Report missing;
  check_order(fulfilled_order(), ReceiptPresence::absent, missing);
  ASSERT_EQ(missing.findings.size(), 1U);
  EXPECT_EQ(missing.findings[0].invariant, Invariant::receipt_iff_fulfilled);
  Report extra;
  check_order(declined_order(), ReceiptPresence::present, extra);
  ASSERT_EQ(extra.findings.size(), 1U);
  EXPECT_EQ(extra.findings[0].invariant, Invariant::receipt_iff_fulfilled);
}

TEST(OrderRules, stock_held_by_an_order_that_ended_is_found) {
  Order order = declined_order();
  order.holds_stock = true;
  expect_broken(order, Invariant::reservation_ends);
}

TEST(OrderRules, a_reserved_order_without_its_stock_is_found) {
  Order order = reserved_order();
  order.holds_stock = false;
  expect_broken(order, Invariant::reservation_ends);
}

TEST(OrderRules, a_fulfilled_order_whose_charge_was_not_captured_is_found) {
  Order order = fulfilled_order();
  order.charge = domain::Charge::closed;
  expect_broken(order, Invariant::fulfilled_captured);
}

TEST(OrderRules, a_free_order_is_fulfilled_without_a_charge) {
  Order draft = placed_order();
  draft.items[0].price_minor = 0;
  draft.total.minor_units = 0;
  Order const free = next_of(next_of(next_of(draft)));
  ASSERT_EQ(free.status, Status::fulfilled);
  EXPECT_TRUE(report_of(free).clean());
}

TEST(OrderRules, a_cancelled_order_that_kept_the_money_is_found) {
  Order order = refunded_order();
  order.charge = domain::Charge::captured;
  expect_broken(order, Invariant::ended_pays_back);
}

TEST(OrderRules, a_total_that_is_not_the_sum_of_its_items_is_found) {
  Order order = reserved_order();
  order.total.minor_units += 1;
  expect_broken(order, Invariant::all_or_nothing);
}

TEST(OrderRules, a_total_of_the_last_line_alone_is_found) {
  Order order = reserved_order();
  order.items.push_back({.product = order.items[0].product, .quantity = 1, .price_minor = 5});
  order.total.minor_units = 5;
  expect_broken(order, Invariant::all_or_nothing);
}

TEST(OrderRules, a_timeline_that_goes_back_in_time_is_found) {
  Order order = fulfilled_order();
  order.timeline[2].at = order.timeline[1].at + domain::Duration{-1};
  expect_broken(order, Invariant::times_in_order);
  Order early = placed_order();
  early.timeline[0].at = early.created_at + domain::Duration{-1};
  expect_broken(early, Invariant::times_in_order);
  Order stale = fulfilled_order();
  stale.updated_at = stale.timeline.back().at + domain::Duration{-1};
  expect_broken(stale, Invariant::times_in_order);
}

TEST(OrderRules, money_without_the_gateways_reference_is_found) {
  for (Order order : {charged_order(), fulfilled_order(), refunded_order()}) {
    order.capture_reference.clear();
    expect_broken(order, Invariant::record_matches_ledger);
  }
}

TEST(OrderRules, a_dead_letter_that_does_not_fit_its_order_is_found) {
  Order fulfilled = fulfilled_order();
  fulfilled.dead_letter.emplace().state = domain::DeadLetterState::compensated;
  expect_broken(fulfilled, Invariant::dead_letter_consistent);
  Order unresolved = dead_lettered_order();
  unresolved.charge = domain::Charge::open;
  expect_broken(unresolved, Invariant::dead_letter_consistent);
  Order backwards = dead_lettered_order();
  backwards.dead_letter->first_failed_at = backwards.dead_letter->at + domain::Duration{1};
  expect_broken(backwards, Invariant::dead_letter_consistent);
}

}  // namespace
}  // namespace penstock::checker
