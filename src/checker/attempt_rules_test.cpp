#include "checker/attempt_rules.h"

#include <string>
#include <variant>

#include <gtest/gtest.h>

#include "checker/clean_orders.h"
#include "checker/order_rules.h"

namespace penstock::checker {
namespace {

using domain::EffectKind;
using domain::Order;
using domain::OutcomeKind;
using domain::Reason;
using domain::Status;

Report report_of(const Order& order) {
  Report report;
  check_order(
      order, order.status == Status::fulfilled ? ReceiptPresence::present : ReceiptPresence::absent,
      report);
  return report;
}

void expect_clean(const Order& order) {
  Report const report = report_of(order);
  EXPECT_TRUE(report.clean()) << report.findings[0].detail;
}

/// Exactly this invariant is broken.
void expect_broken(const Order& order, Invariant invariant) {
  Report const report = report_of(order);
  EXPECT_FALSE(report.clean());
  for (const Finding& finding : report.findings) {
    EXPECT_EQ(to_string(finding.invariant), to_string(invariant)) << finding.detail;
  }
}

/// One reported failure more of the order's stage.
Order failed(const Order& order) {
  return after(order, order.status == Status::charged ? EffectKind::fulfill : EffectKind::charge,
               OutcomeKind::transient);
}

/// What a saga makes of an order that may be tried more often.
Order four_times_failed_order() {
  domain::SagaPolicy policy;
  policy.max_attempts = 4;
  Order order = reserved_order();
  for (int failures = 0; failures < 4; ++failures) {
    domain::Step step = domain::after_effect(
        order, EffectKind::charge, {OutcomeKind::transient, {}}, policy, {.now = order.due}, 0);
    order = std::get<domain::Advance>(std::move(step)).next;
  }
  return order;
}

/// Charged, with a fulfiller that still has to be asked.
Order handed_over_order() {
  domain::SagaPolicy policy;
  policy.fulfillment = domain::FulfillmentMode::hook;
  domain::Step step = domain::after_effect(failed(reserved_order()), EffectKind::charge,
                                           {.kind = OutcomeKind::done, .reference = "ch_1"}, policy,
                                           {.now = kStart}, 0);
  return std::get<domain::Advance>(std::move(step)).next;
}

TEST(AttemptRules, three_tries_and_a_dead_letter_are_clean_and_so_is_the_run_after_a_redrive) {
  Order const exhausted = failed(failed(failed(reserved_order())));
  expect_clean(exhausted);
  Order const dead = after(exhausted, EffectKind::close_charge, OutcomeKind::closed);
  ASSERT_TRUE(dead.dead_letter);
  expect_clean(dead);
  Order const again = domain::redrive(dead, dead.due).value().next;
  expect_clean(failed(failed(failed(again))));
}

TEST(AttemptRules, a_fourth_try_is_found) {
  expect_broken(four_times_failed_order(), Invariant::bounded_attempts);
}

TEST(AttemptRules, a_fourth_try_is_clean_where_four_are_allowed) {
  Report report;
  check_attempts(four_times_failed_order(), 4, report);
  EXPECT_TRUE(report.clean());
}

TEST(AttemptRules, a_try_after_a_permanent_error_is_found) {
  Order refused = after(reserved_order(), EffectKind::charge, OutcomeKind::permanent);
  expect_clean(refused);
  refused.last_error = Reason::none;
  expect_broken(failed(refused), Invariant::bounded_attempts);
}

TEST(AttemptRules, attempts_that_a_stage_inherits_from_the_one_before_are_found) {
  Order charged = handed_over_order();
  expect_clean(failed(charged));
  charged.attempts = 1;
  expect_broken(failed(charged), Invariant::bounded_attempts);
}

TEST(AttemptRules, a_dead_letter_that_tells_another_story_than_its_timeline_is_found) {
  Order const dead =
      after(after(failed(reserved_order()), EffectKind::charge, OutcomeKind::permanent),
            EffectKind::close_charge, OutcomeKind::closed);
  ASSERT_TRUE(dead.dead_letter);
  expect_clean(dead);
  Order first = dead;
  first.dead_letter->first_error = first.dead_letter->last_error;
  expect_broken(first, Invariant::dead_letter_consistent);
  Order last = dead;
  last.dead_letter->last_error = last.dead_letter->first_error;
  expect_broken(last, Invariant::dead_letter_consistent);
  Order attempts = dead;
  attempts.dead_letter->attempts = 1;
  expect_broken(attempts, Invariant::dead_letter_consistent);
}

TEST(AttemptRules, an_order_that_ended_its_process_too_often_and_runs_on_is_found) {
  Order interrupted = domain::dead_letter_interrupted(reserved_order(), {}, kStart).next;
  expect_clean(interrupted);
  Order const compensated = after(interrupted, EffectKind::close_charge, OutcomeKind::done);
  ASSERT_EQ(compensated.status, Status::cancelling);
  expect_clean(compensated);
  interrupted.last_error = Reason::none;
  Order const charged = after(interrupted, EffectKind::close_charge, OutcomeKind::done);
  ASSERT_EQ(charged.status, Status::charged);
  expect_broken(charged, Invariant::interrupted_stays_out);
}

TEST(AttemptRules, claims_are_counted_by_peer) {
  Order const handed_over = failed(failed(handed_over_order()));
  EXPECT_EQ(claimed_failures(handed_over).of_charges, 1U);
  EXPECT_EQ(claimed_failures(handed_over).of_handovers, 2U);
  EXPECT_EQ(claimed_failures(handed_over).refused_handovers, 0U);
  Order const refused = after(handed_over, EffectKind::fulfill, OutcomeKind::refused);
  EXPECT_EQ(claimed_failures(refused).refused_handovers, 1U);
  Order const rejected = after(reserved_order(), EffectKind::charge, OutcomeKind::permanent);
  EXPECT_EQ(claimed_failures(rejected).rejected_charges, 1U);
  EXPECT_EQ(claimed_failures(rejected).of_charges, 0U);
}

}  // namespace
}  // namespace penstock::checker
