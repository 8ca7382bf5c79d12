#include "domain/saga.h"

#include <limits>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "domain/limits.h"
#include "tests/contract/order_builder.h"

namespace penstock::domain {
namespace {

using store_contract::OrderBuilder;
namespace steps = store_contract::steps;

constexpr Instant kStart{1'800'000'000'000'000};
constexpr std::uint64_t kLongest = ~0ULL;  // the longest pause a backoff can draw

Moment at(Instant now) {
  return {now, kLongest};
}

Order placed() {
  return OrderBuilder(1).placed(kStart);
}
Order reserved() {
  return steps::next(placed(), kStart).next;
}
Order charged(FulfillmentMode mode = FulfillmentMode::accepts) {
  SagaPolicy policy;
  policy.fulfillment = mode;
  return steps::advance_of(after_effect(reserved(), EffectKind::charge,
                                        {OutcomeKind::done, "cap-1"}, policy, at(kStart), 1))
      .next;
}
Order with_failures(int count) {
  Order order = reserved();
  for (int failure = 0; failure < count; ++failure) order = steps::fail(order, order.due).next;
  return order;
}
Order dead_letter() {
  const Order order = with_failures(3);
  return steps::close_charge(order, order.due).next;
}
Order cancelling_with_capture() {
  return steps::cancel(charged(), kStart).next;
}

Step next_of(const Order& order, Instant now) {
  return next_step(order, {}, at(now));
}
Step after(const Order& order, EffectKind kind, OutcomeKind outcome) {
  return after_effect(order, kind, {outcome, "ref"}, {}, at(kStart), 1);
}
EffectKind effect_in(const Step& step) {
  const auto* effect = std::get_if<Effect>(&step);
  EXPECT_NE(effect, nullptr) << "an effect was expected";
  return effect == nullptr ? EffectKind::refund : effect->kind;
}
const Order& order_in(const Step& step) {
  return std::get<Advance>(step).next;
}
bool waits(const Step& step) {
  return std::holds_alternative<Wait>(step);
}

TEST(Saga, ThePolicyIsThatOfTheSemanticsWhereNothingElseIsSaid) {
  const SagaPolicy policy;
  EXPECT_EQ(policy.max_attempts, 3);
  EXPECT_EQ(policy.gateway_key_retention, Duration::hours(24));
  EXPECT_EQ(policy.dead_letter_hold, Duration::hours(24));
  EXPECT_EQ(policy.fulfillment, FulfillmentMode::accepts);
}

TEST(Saga, WhatNobodyReportedIsUnknownAndMovesNothing) {
  EXPECT_EQ(Outcome{}.kind, OutcomeKind::unknown);
  EXPECT_EQ(Effect{}.kind, EffectKind::charge);
  EXPECT_EQ(Advance{}.stock, StockMove::none);
  EXPECT_EQ(Moment{}.random, 0U);
}

TEST(Saga, PlaceMakesVersionOneWithItsFirstEvent) {
  const Order order = placed();
  EXPECT_EQ(order.status, Status::placed);
  EXPECT_EQ(order.version, Version{1});
  ASSERT_EQ(order.timeline.size(), 1U);
  const Event first{.version = {1},
                    .at = kStart,
                    .from = std::nullopt,
                    .to = Status::placed,
                    .stage = Stage::ingest,
                    .reason = Reason::accepted,
                    .attempt = 0};
  EXPECT_EQ(order.timeline[0], first);
  EXPECT_EQ(order.created_at, kStart);
  EXPECT_EQ(order.updated_at, kStart);
  EXPECT_EQ(order.due, kStart);
}

TEST(Saga, PlaceTakesNoStateFromTheDraft) {
  const Instant later = kStart + Duration::seconds(1);
  const Order order = place(cancelling_with_capture(), later);
  EXPECT_EQ(order.status, Status::placed);
  EXPECT_EQ(order.version, Version{1});
  EXPECT_EQ(order.reason, Reason::none);
  ASSERT_EQ(order.timeline.size(), 1U);
  EXPECT_EQ(order.timeline[0].to, Status::placed);
  EXPECT_EQ(order.created_at, later);
  EXPECT_EQ(order.updated_at, later);
  EXPECT_EQ(order.due, later);
}

TEST(Saga, APlacedOrderReservesAndOpensItsCharge) {
  const Advance advance = steps::next(placed(), kStart);
  EXPECT_EQ(advance.stock, StockMove::reserve);
  EXPECT_EQ(advance.next.status, Status::reserved);
  EXPECT_TRUE(advance.next.holds_stock);
  EXPECT_EQ(advance.next.charge, Charge::open);
  EXPECT_EQ(advance.next.charge_since, kStart);
}

TEST(Saga, TheSmallestTotalIsChargedAndNoneIsNot) {
  Order cent = placed();
  cent.total.minor_units = 1;
  const Order open = steps::next(cent, kStart).next;
  EXPECT_EQ(open.charge, Charge::open);
  EXPECT_EQ(effect_in(next_of(open, kStart)), EffectKind::charge);
  Order free = placed();
  free.total.minor_units = 0;
  EXPECT_EQ(steps::next(free, kStart).next.charge, Charge::none);
}

TEST(Saga, ARejectedOrderHeldNothing) {
  const Advance advance = reject(placed(), Reason::unknown_product, kStart);
  EXPECT_EQ(advance.next.status, Status::rejected);
  EXPECT_EQ(advance.stock, StockMove::none);
  EXPECT_FALSE(advance.next.holds_stock);
  const Order instead = reject_instead(reserved(), Reason::insufficient_stock);
  EXPECT_EQ(instead.status, Status::rejected);
  EXPECT_EQ(instead.version, reserved().version);
  EXPECT_EQ(instead.charge, Charge::none);
  EXPECT_FALSE(instead.holds_stock);
  EXPECT_EQ(instead.timeline.back().to, Status::rejected);
  EXPECT_EQ(instead.timeline.back().reason, Reason::insufficient_stock);
}

TEST(Saga, KeysAreTheOrderIdAndTheStep) {
  Order order = reserved();
  const std::string id = order.id.str();
  EXPECT_EQ(effect_key(order, EffectKind::charge), id + "/charge");
  EXPECT_EQ(effect_key(order, EffectKind::find_charge), id + "/charge");
  EXPECT_EQ(effect_key(order, EffectKind::close_charge), id + "/charge");
  EXPECT_EQ(effect_key(order, EffectKind::refund), id + "/refund");
  EXPECT_EQ(effect_key(order, EffectKind::fulfill), id + "/fulfill");
  EXPECT_EQ(effect_key(order, EffectKind::find_fulfillment), id + "/fulfill");
  EXPECT_EQ(effect_key(order, EffectKind::close_fulfillment), id + "/fulfill");
  order.key_generation = 2;
  EXPECT_EQ(effect_key(order, EffectKind::charge), id + "/charge.2");
  EXPECT_EQ(effect_key(order, EffectKind::refund), id + "/refund");
}

TEST(Saga, AReservedOrderIsCharged) {
  const Order order = reserved();
  const Step step = next_of(order, kStart);
  ASSERT_EQ(effect_in(step), EffectKind::charge);
  EXPECT_EQ(std::get<Effect>(step).key, order.id.str() + "/charge");
}

TEST(Saga, NothingIsDoneBeforeItsDueTime) {
  Order order = reserved();
  order.due = kStart + Duration::seconds(5);
  const Step step = next_of(order, kStart);
  ASSERT_TRUE(waits(step));
  EXPECT_EQ(std::get<Wait>(step).until, order.due);
  EXPECT_EQ(effect_in(next_of(order, order.due)), EffectKind::charge);
}

TEST(Saga, ACaptureChargesTheOrderAndKeepsItsReference) {
  const Order order = charged();
  EXPECT_EQ(order.status, Status::charged);
  EXPECT_EQ(order.charge, Charge::captured);
  EXPECT_EQ(order.capture_reference, "cap-1");
  EXPECT_TRUE(order.holds_stock);
  EXPECT_EQ(order.handover, Handover::none);
  EXPECT_EQ(charged(FulfillmentMode::hook).handover, Handover::open);
}

TEST(Saga, AChargedOrderWithoutAHookIsFulfilledAtOnceAndSellsItsStock) {
  const Advance advance = steps::next(charged(), kStart);
  EXPECT_EQ(advance.next.status, Status::fulfilled);
  EXPECT_EQ(advance.stock, StockMove::sell);
  EXPECT_FALSE(advance.next.holds_stock);
}

TEST(Saga, ATotalOfZeroSkipsTheCharge) {
  const Order free = steps::next(OrderBuilder(1).item("PROD-1", 3, 0).placed(kStart), kStart).next;
  EXPECT_EQ(free.charge, Charge::none);
  const Order next = order_in(next_of(free, kStart));
  EXPECT_EQ(next.status, Status::charged);
  EXPECT_EQ(next.reason, Reason::nothing_to_charge);
  EXPECT_EQ(next.charge, Charge::none);
}

TEST(Saga, ADeclineReleasesTheStockInTheSameCommitAndCannotCaptureAnyMore) {
  const Advance advance = steps::decline(reserved(), kStart);
  EXPECT_EQ(advance.next.status, Status::cancelling);
  EXPECT_EQ(advance.stock, StockMove::release);
  EXPECT_EQ(advance.next.charge, Charge::closed);
  EXPECT_EQ(advance.next.reason, Reason::payment_declined);
  const Order ended = order_in(next_of(advance.next, kStart));
  EXPECT_EQ(ended.status, Status::cancelled);
  EXPECT_EQ(ended.reason, Reason::payment_declined) << "the customer sees why";
}

TEST(Saga, OnlyAReportedTransientFailureIsAnAttempt) {
  for (const OutcomeKind kind :
       {OutcomeKind::unknown, OutcomeKind::unavailable, OutcomeKind::not_found}) {
    EXPECT_FALSE(std::holds_alternative<Advance>(after(reserved(), EffectKind::charge, kind)));
    EXPECT_TRUE(waits(after(reserved(), EffectKind::find_charge, kind)));
  }
  const Order failed = order_in(after(reserved(), EffectKind::charge, OutcomeKind::transient));
  EXPECT_EQ(failed.attempts, 1);
  EXPECT_EQ(failed.status, Status::reserved);
  EXPECT_EQ(failed.last_error, Reason::gateway_unavailable);
}

TEST(Saga, ATransientFailureBacksOffWithFullJitter) {
  for (int failures = 1; failures <= 2; ++failures) {
    const Order order = with_failures(failures - 1);
    const Order longest = steps::fail(order, order.due).next;
    EXPECT_EQ((longest.due - order.due).us, Duration::seconds(1).us << (failures - 1));
    const Step shortest = after_effect(order, EffectKind::charge, {OutcomeKind::transient, {}}, {},
                                       {order.due, 0}, 1);
    EXPECT_EQ(order_in(shortest).due, order.due) << "the jitter starts at zero";
  }
}

TEST(Saga, ThreeTriesNotFourThenTheKeyIsClosedBeforeTheMark) {
  EXPECT_EQ(effect_in(next_of(with_failures(2), with_failures(2).due)), EffectKind::charge);
  const Order exhausted = with_failures(3);
  EXPECT_EQ(exhausted.attempts, 3);
  EXPECT_FALSE(exhausted.dead_letter);
  EXPECT_EQ(effect_in(next_of(exhausted, exhausted.due)), EffectKind::close_charge);
  const Order marked = dead_letter();
  ASSERT_TRUE(is_open_dead_letter(marked));
  EXPECT_EQ(marked.charge, Charge::closed);
  EXPECT_TRUE(marked.holds_stock) << "its stock is held while it waits";
  EXPECT_EQ(marked.dead_letter->stage, Stage::payment);
  EXPECT_EQ(marked.dead_letter->attempts, 3);
  EXPECT_EQ(marked.dead_letter->first_error, Reason::gateway_unavailable);
  EXPECT_EQ(marked.dead_letter->first_failed_at, kStart);
}

TEST(Saga, AFailureThatAnotherWorkerHearsOfAfterTheLastAttemptCountsNoMore) {
  for (const OutcomeKind kind : {OutcomeKind::transient, OutcomeKind::permanent}) {
    EXPECT_TRUE(waits(after(with_failures(3), EffectKind::charge, kind)));
    const Order refused = order_in(after(reserved(), EffectKind::charge, OutcomeKind::permanent));
    EXPECT_TRUE(waits(after(refused, EffectKind::charge, kind)));
  }
}

TEST(Saga, APermanentErrorDeadLettersOnTheFirstAttempt) {
  const Order refused = order_in(after(reserved(), EffectKind::charge, OutcomeKind::permanent));
  EXPECT_EQ(effect_in(next_of(refused, kStart)), EffectKind::close_charge);
  const Order marked = steps::close_charge(refused, kStart).next;
  ASSERT_TRUE(is_open_dead_letter(marked));
  EXPECT_EQ(marked.dead_letter->attempts, 1);
  EXPECT_EQ(marked.dead_letter->last_error, Reason::gateway_rejected);
}

TEST(Saga, ADeadLetterKeepsTheFirstErrorAndTheLast) {
  const Order failed = with_failures(1);
  const Order refused = order_in(after_effect(failed, EffectKind::charge,
                                              {OutcomeKind::permanent, ""}, {}, at(failed.due), 1));
  const Order marked = steps::close_charge(refused, failed.due).next;
  ASSERT_TRUE(is_open_dead_letter(marked));
  EXPECT_EQ(marked.dead_letter->attempts, 2);
  EXPECT_EQ(marked.dead_letter->first_error, Reason::gateway_unavailable);
  EXPECT_EQ(marked.dead_letter->last_error, Reason::gateway_rejected);
  EXPECT_EQ(marked.dead_letter->first_failed_at, kStart);
  EXPECT_EQ(marked.dead_letter->at, failed.due);
}

TEST(Saga, AnUnknownChargeIsAskedForUnderItsKeyAndNeverFailed) {
  const Order order = reserved();
  const Step step = after(order, EffectKind::charge, OutcomeKind::unknown);
  ASSERT_EQ(effect_in(step), EffectKind::find_charge);
  EXPECT_EQ(std::get<Effect>(step).key, effect_key(order, EffectKind::charge));
  EXPECT_TRUE(waits(after(order, EffectKind::find_charge, OutcomeKind::not_found)));
  EXPECT_TRUE(waits(after(order, EffectKind::close_charge, OutcomeKind::unknown)));
  EXPECT_TRUE(waits(after(order, EffectKind::close_charge, OutcomeKind::transient)));
}

TEST(Saga, ACloseThatFindsACaptureChargesEvenAnExhaustedOrder) {
  const Order order = with_failures(3);
  const Order next = order_in(after(order, EffectKind::close_charge, OutcomeKind::done));
  EXPECT_EQ(next.status, Status::charged);
  EXPECT_EQ(next.attempts, 0) << "a new stage starts with attempts of its own";
}

TEST(Saga, AKeyThatTheGatewayMayForgetIsClosedAndReplacedNeverSentAgain) {
  const Order order = reserved();
  const Instant late = kStart + Duration::hours(23);
  EXPECT_EQ(effect_in(next_of(order, Instant{late.us - 1})), EffectKind::charge);
  ASSERT_EQ(effect_in(next_of(order, late)), EffectKind::close_charge);
  const Order next = steps::close_charge(order, late).next;
  EXPECT_EQ(next.status, Status::reserved);
  EXPECT_EQ(next.charge, Charge::open);
  EXPECT_EQ(next.key_generation, 1);
  EXPECT_GT(next.due, late) << "keys are not used up in a tight loop";
  EXPECT_EQ(next.charge_since, next.due) << "its age counts from its first use";
  EXPECT_EQ(effect_in(next_of(next, next.due)), EffectKind::charge);
}

TEST(Saga, ANewKeyIsUsableHoweverShortTheRetention) {
  SagaPolicy policy;
  policy.gateway_key_retention = Duration::seconds(10);
  EXPECT_EQ(effect_in(next_step(reserved(), policy, at(kStart))), EffectKind::charge);
  const Instant later = kStart + Duration::seconds(5);
  EXPECT_EQ(effect_in(next_step(reserved(), policy, at(later))), EffectKind::close_charge);
}

TEST(Saga, TheWaitForAnAnswerGrowsWithTheTriesAndIsNeverATightLoop) {
  const auto pause = [](std::uint32_t tries, std::uint64_t random) {
    const Step step = after_effect(reserved(), EffectKind::find_charge, {OutcomeKind::unknown, {}},
                                   {}, {kStart, random}, tries);
    return std::get<Wait>(step).until - kStart;
  };
  EXPECT_EQ(pause(1, kLongest), Duration::seconds(1));
  EXPECT_EQ(pause(4, kLongest), Duration::seconds(8));
  EXPECT_EQ(pause(100, kLongest), Duration::seconds(60));
  EXPECT_EQ(pause(1, 0), Duration::milliseconds(50));
}

TEST(Saga, ADeadLetterWaitsForItsHoldAndIsThenCompensated) {
  const Order order = dead_letter();
  const Instant end = order.dead_letter->at + Duration::hours(24);
  const Step before = next_of(order, Instant{end.us - 1});
  ASSERT_TRUE(waits(before));
  EXPECT_EQ(std::get<Wait>(before).until, end);
  EXPECT_EQ(order.due, end);
  const Advance advance = steps::next(order, end);
  EXPECT_EQ(advance.next.status, Status::cancelling);
  EXPECT_EQ(advance.stock, StockMove::release);
  EXPECT_EQ(advance.next.reason, Reason::dead_letter_expired);
  EXPECT_EQ(advance.next.dead_letter->state, DeadLetterState::compensated);
}

TEST(Saga, ARedriveRestartsAttemptsCountsUpAndUsesANewKey) {
  const Order order = dead_letter();
  const auto advance = redrive(order, kStart + Duration::seconds(9));
  ASSERT_TRUE(advance);
  const Order& next = advance->next;
  EXPECT_EQ(next.id, order.id);
  EXPECT_EQ(next.status, Status::reserved);
  EXPECT_FALSE(next.dead_letter);
  EXPECT_EQ(next.attempts, 0);
  EXPECT_EQ(next.redrives, 1);
  EXPECT_EQ(next.charge, Charge::open);
  EXPECT_EQ(next.key_generation, 1);
  EXPECT_EQ(next.last_error, Reason::none);
  EXPECT_EQ(effect_in(next_of(next, next.due)), EffectKind::charge);
}

TEST(Saga, RedriveAndDiscardNeedAnOpenDeadLetter) {
  const Order compensated =
      steps::next(dead_letter(), dead_letter().due).next;  // cancelling, the mark is the record
  for (const Order& order : {placed(), reserved(), charged(), cancelling_with_capture(),
                             steps::next(charged(), kStart).next, compensated}) {
    EXPECT_EQ(redrive(order, kStart).error(), RequestError::not_a_dead_letter);
    EXPECT_EQ(discard(order, kStart).error(), RequestError::not_a_dead_letter);
  }
}

TEST(Saga, ARedriveIsRefusedWhenOnlyTheReserveOfTheTimelineIsLeft) {
  Order order = dead_letter();
  while (order.timeline.size() + limits::kTimelineReserve < limits::kMaxTimelineEvents) {
    const auto again = redrive(order, order.due);
    ASSERT_TRUE(again);
    order = again->next;
    for (int failure = 0; failure < 3; ++failure) order = steps::fail(order, order.due).next;
    order = steps::close_charge(order, order.due).next;
  }
  EXPECT_EQ(redrive(order, order.due).error(), RequestError::timeline_full);
  EXPECT_LT(order.timeline.size(), limits::kMaxTimelineEvents);
  EXPECT_TRUE(discard(order, order.due)) << "it can still be compensated";
}

TEST(Saga, TheReserveOfTheTimelineBeginsAtItsFirstEvent) {
  Order order = dead_letter();
  order.timeline.resize(limits::kMaxTimelineEvents - limits::kTimelineReserve - 1,
                        order.timeline.back());
  EXPECT_TRUE(redrive(order, order.due));
  order.timeline.push_back(order.timeline.back());
  EXPECT_EQ(redrive(order, order.due).error(), RequestError::timeline_full);
}

TEST(Saga, ADiscardCompensatesAndKeepsTheMark) {
  const auto advance = discard(dead_letter(), kStart);
  ASSERT_TRUE(advance);
  EXPECT_EQ(advance->next.status, Status::cancelling);
  EXPECT_EQ(advance->stock, StockMove::release);
  EXPECT_EQ(advance->next.dead_letter->state, DeadLetterState::discarded);
}

TEST(Saga, CancelIsRefusedOnceFulfilledOrRejected) {
  EXPECT_EQ(cancel(steps::next(charged(), kStart).next, kStart).error(),
            RequestError::already_terminal);
  EXPECT_EQ(cancel(reject(placed(), Reason::insufficient_stock, kStart).next, kStart).error(),
            RequestError::already_terminal);
}

TEST(Saga, CancelOfAPlacedOrderEndsItAtOnce) {
  const Advance advance = steps::cancel(placed(), kStart);
  EXPECT_EQ(advance.next.status, Status::cancelled);
  EXPECT_EQ(advance.stock, StockMove::none);
}

TEST(Saga, CancelReleasesStockInItsOwnCommitAndOnlyMoneyWaits) {
  for (const Order& order : {reserved(), charged(), dead_letter()}) {
    const Advance advance = steps::cancel(order, kStart);
    EXPECT_EQ(advance.next.status, Status::cancelling);
    EXPECT_EQ(advance.stock, StockMove::release);
    EXPECT_FALSE(advance.next.holds_stock);
    EXPECT_FALSE(is_open_dead_letter(advance.next));
    EXPECT_EQ(advance.next.reason, Reason::cancelled_by_request);
  }
}

TEST(Saga, CancelOfWhatIsBeingCancelledChangesNothing) {
  const Order cancelling = cancelling_with_capture();
  const Order cancelled = steps::refund(cancelling, kStart).next;
  for (const Order& order : {cancelling, cancelled}) {
    const auto advance = cancel(order, kStart);
    ASSERT_TRUE(advance);
    EXPECT_FALSE(*advance);
  }
}

TEST(Saga, AnOpenChargeIsClosedBeforeACancelledOrderEnds) {
  const Order order = steps::cancel(reserved(), kStart).next;
  EXPECT_EQ(effect_in(next_of(order, kStart)), EffectKind::close_charge);
  for (const OutcomeKind kind : {OutcomeKind::unknown, OutcomeKind::unavailable,
                                 OutcomeKind::transient, OutcomeKind::permanent}) {
    EXPECT_TRUE(waits(after(order, EffectKind::close_charge, kind)));
  }
  const Order closed = steps::close_charge(order, kStart).next;
  EXPECT_EQ(closed.status, Status::cancelled);
  EXPECT_EQ(closed.charge, Charge::closed);
}

TEST(Saga, ACaptureThatArrivesInCancellingIsRecordedAndRefunded) {
  const Order order = steps::cancel(reserved(), kStart).next;
  for (const EffectKind kind :
       {EffectKind::charge, EffectKind::find_charge, EffectKind::close_charge}) {
    const Order next = order_in(after(order, kind, OutcomeKind::done));
    EXPECT_EQ(next.status, Status::cancelling);
    EXPECT_EQ(next.charge, Charge::captured);
    EXPECT_EQ(next.capture_reference, "ref");
    EXPECT_TRUE(owes_refund(next));
    EXPECT_EQ(effect_in(next_of(next, kStart)), EffectKind::refund);
  }
}

TEST(Saga, ARefundEndsTheOrder) {
  const Order ended = steps::refund(cancelling_with_capture(), kStart).next;
  EXPECT_EQ(ended.status, Status::cancelled);
  EXPECT_EQ(ended.charge, Charge::refunded);
  EXPECT_EQ(ended.timeline.back().reason, Reason::refunded);
}

TEST(Saga, ARefusedRefundIsRecordedOnceAndTriedWithoutEnd) {
  const Order owed = cancelling_with_capture();
  const Order recorded = order_in(after(owed, EffectKind::refund, OutcomeKind::refused));
  EXPECT_EQ(recorded.status, Status::cancelling);
  EXPECT_EQ(recorded.timeline.back().reason, Reason::refund_refused);
  EXPECT_TRUE(owes_refund(recorded));
  EXPECT_GT(recorded.due, kStart);
  for (const OutcomeKind kind :
       {OutcomeKind::refused, OutcomeKind::permanent, OutcomeKind::unknown}) {
    EXPECT_TRUE(waits(after(recorded, EffectKind::refund, kind)));
  }
  const Order failed = order_in(after(recorded, EffectKind::refund, OutcomeKind::transient));
  EXPECT_EQ(failed.timeline.back().reason, Reason::gateway_unavailable) << "another kind";
  EXPECT_TRUE(waits(after(failed, EffectKind::refund, OutcomeKind::transient)));
  EXPECT_TRUE(waits(after(failed, EffectKind::refund, OutcomeKind::refused)));
  EXPECT_EQ(effect_in(next_of(recorded, recorded.due)), EffectKind::refund);
}

TEST(Saga, AHandoverIsClosedBeforeMoneyGoesBack) {
  const Order order = steps::cancel(charged(FulfillmentMode::hook), kStart).next;
  ASSERT_EQ(effect_in(next_of(order, kStart)), EffectKind::close_fulfillment);
  const Order closed = order_in(after(order, EffectKind::close_fulfillment, OutcomeKind::closed));
  EXPECT_EQ(closed.handover, Handover::closed);
  EXPECT_EQ(effect_in(next_of(closed, kStart)), EffectKind::refund);
  const Order accepted = order_in(after(order, EffectKind::close_fulfillment, OutcomeKind::done));
  EXPECT_EQ(accepted.status, Status::cancelling) << "an acknowledged cancel is never fulfilled";
}

TEST(Saga, AHookAcceptsRefusesOrIsAsked) {
  const Order order = charged(FulfillmentMode::hook);
  EXPECT_EQ(effect_in(next_of(order, kStart)), EffectKind::fulfill);
  const Step accepted = after(order, EffectKind::fulfill, OutcomeKind::done);
  EXPECT_EQ(order_in(accepted).status, Status::fulfilled);
  EXPECT_EQ(std::get<Advance>(accepted).stock, StockMove::sell);
  const Order refused = order_in(after(order, EffectKind::fulfill, OutcomeKind::refused));
  EXPECT_EQ(refused.status, Status::cancelling);
  EXPECT_EQ(refused.reason, Reason::fulfillment_refused);
  EXPECT_FALSE(refused.dead_letter) << "a refusal is an answer, not a failure";
  EXPECT_EQ(effect_in(after(order, EffectKind::fulfill, OutcomeKind::unknown)),
            EffectKind::find_fulfillment);
}

TEST(Saga, AQuestionToTheHookThatFailsDecidesNothing) {
  const Order order = charged(FulfillmentMode::hook);
  for (const EffectKind kind : {EffectKind::find_fulfillment, EffectKind::close_fulfillment}) {
    for (const OutcomeKind outcome :
         {OutcomeKind::transient, OutcomeKind::permanent, OutcomeKind::unknown,
          OutcomeKind::not_found, OutcomeKind::unavailable}) {
      EXPECT_TRUE(waits(after(order, kind, outcome))) << "it may have been accepted";
    }
  }
}

TEST(Saga, AHookThatFailsThreeTimesIsCompensatedAndTheMarkStaysAsTheRecord) {
  Order order = charged(FulfillmentMode::hook);
  for (int failure = 0; failure < 3; ++failure) {
    order = order_in(after(order, EffectKind::fulfill, OutcomeKind::transient));
  }
  EXPECT_EQ(effect_in(next_of(order, order.due)), EffectKind::close_fulfillment);
  const Step step = after(order, EffectKind::close_fulfillment, OutcomeKind::closed);
  EXPECT_EQ(order_in(step).status, Status::cancelling);
  EXPECT_EQ(std::get<Advance>(step).stock, StockMove::release);
  ASSERT_TRUE(order_in(step).dead_letter);
  EXPECT_EQ(order_in(step).dead_letter->state, DeadLetterState::compensated);
  EXPECT_EQ(order_in(step).dead_letter->attempts, 3);
  EXPECT_EQ(order_in(step).dead_letter->stage, Stage::fulfillment);
}

TEST(Saga, APermanentErrorOfTheHookIsCompensatedWithItsDeadLetterAsTheRecord) {
  const Order order =
      order_in(after(charged(FulfillmentMode::hook), EffectKind::fulfill, OutcomeKind::permanent));
  EXPECT_EQ(order.status, Status::cancelling);
  ASSERT_TRUE(order.dead_letter);
  EXPECT_EQ(order.dead_letter->state, DeadLetterState::compensated);
  EXPECT_EQ(order.dead_letter->attempts, 1);
  EXPECT_EQ(order.dead_letter->last_error, Reason::fulfillment_refused);
  EXPECT_EQ(effect_in(next_of(order, kStart)), EffectKind::refund);
}

TEST(Saga, AnInterruptedOrderIsDeadLetteredWhereNothingIsCaptured) {
  const Order early = dead_letter_interrupted(placed(), {}, kStart).next;
  EXPECT_TRUE(is_open_dead_letter(early));
  EXPECT_EQ(early.dead_letter->last_error, Reason::interrupted);
  const Order blamed = dead_letter_interrupted(reserved(), {}, kStart).next;
  EXPECT_FALSE(blamed.dead_letter) << "its charge may be open";
  ASSERT_EQ(effect_in(next_of(blamed, kStart)), EffectKind::close_charge);
  const Order marked = steps::close_charge(blamed, kStart).next;
  ASSERT_TRUE(is_open_dead_letter(marked));
  EXPECT_EQ(marked.dead_letter->last_error, Reason::interrupted);
  EXPECT_EQ(marked.interruptions, 0);
}

TEST(Saga, AnInterruptedOrderWithMoneyIsCompensatedAndDoesNotRunOn) {
  const Order late = dead_letter_interrupted(charged(), {}, kStart).next;
  const Order blamed = dead_letter_interrupted(reserved(), {}, kStart).next;
  const Order found = order_in(after(blamed, EffectKind::close_charge, OutcomeKind::done));
  for (const Order& order : {late, found}) {
    EXPECT_EQ(order.status, Status::cancelling);
    ASSERT_TRUE(order.dead_letter);
    EXPECT_EQ(order.dead_letter->state, DeadLetterState::compensated);
    EXPECT_EQ(order.dead_letter->last_error, Reason::interrupted);
    EXPECT_TRUE(owes_refund(order));
  }
}

TEST(Saga, AnInterruptedCancellationGoesOn) {
  const Order order = dead_letter_interrupted(cancelling_with_capture(), {}, kStart).next;
  EXPECT_EQ(order.status, Status::cancelling);
  EXPECT_EQ(order.interruptions, 0);
  EXPECT_EQ(effect_in(next_of(order, kStart)), EffectKind::refund);
}

TEST(Saga, ATimeThatGoesBackIsNotStored) {
  const Order order = steps::cancel(reserved(), kStart - Duration::hours(1)).next;
  EXPECT_EQ(order.updated_at, kStart);
  EXPECT_EQ(order.timeline.back().at, kStart);
}

}  // namespace
}  // namespace penstock::domain
