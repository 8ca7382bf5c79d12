#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "domain/saga.h"
#include "tests/contract/order_builder.h"

// Every shape an order can be in x every effect x every outcome: whatever comes back is legal.
namespace penstock::domain {
namespace {

using store_contract::OrderBuilder;
namespace steps = store_contract::steps;

constexpr Instant kStart{1'800'000'000'000'000};
constexpr Moment kMoment{kStart, 12'345};

constexpr EffectKind kEffects[] = {EffectKind::charge,           EffectKind::find_charge,
                                   EffectKind::close_charge,     EffectKind::refund,
                                   EffectKind::fulfill,          EffectKind::find_fulfillment,
                                   EffectKind::close_fulfillment};
constexpr OutcomeKind kOutcomes[] = {
    OutcomeKind::done,    OutcomeKind::refused,   OutcomeKind::transient, OutcomeKind::permanent,
    OutcomeKind::unknown, OutcomeKind::not_found, OutcomeKind::closed,    OutcomeKind::unavailable};

struct Shape {
  std::string name;
  Order order;
};

SagaPolicy hooked() {
  SagaPolicy policy;
  policy.fulfillment = FulfillmentMode::hook;
  return policy;
}

Order after_all(Order order, EffectKind kind, OutcomeKind outcome, int times) {
  for (int time = 0; time < times; ++time) {
    order =
        steps::advance_of(after_effect(order, kind, {outcome, "ref"}, hooked(), kMoment, 1)).next;
  }
  return order;
}

std::vector<Shape> shapes() {
  const Order placed = OrderBuilder(1).placed(kStart);
  const Order reserved = steps::next(placed, kStart).next;
  const Order exhausted = after_all(reserved, EffectKind::charge, OutcomeKind::transient, 3);
  const Order dead = after_all(exhausted, EffectKind::close_charge, OutcomeKind::closed, 1);
  const Order charged = steps::capture(reserved, kStart).next;
  const Order handed = after_all(reserved, EffectKind::charge, OutcomeKind::done, 1);
  const Order tired = after_all(handed, EffectKind::fulfill, OutcomeKind::transient, 3);
  const Order open = steps::cancel(reserved, kStart).next;
  const Order owed = steps::cancel(charged, kStart).next;
  const Order both = steps::cancel(handed, kStart).next;
  const Order refused = after_all(owed, EffectKind::refund, OutcomeKind::refused, 1);
  const Order declined = after_all(reserved, EffectKind::charge, OutcomeKind::refused, 1);
  const Order free = steps::next(OrderBuilder(2).item("P", 1, 0).placed(kStart), kStart).next;
  return {{"placed", placed},
          {"reserved", reserved},
          {"reserved, attempts used up", exhausted},
          {"reserved, dead letter", dead},
          {"reserved, redriven", redrive(dead, kStart)->next},
          {"reserved, interrupted", dead_letter_interrupted(reserved, {}, kStart).next},
          {"reserved, nothing to charge", free},
          {"charged", charged},
          {"charged, hook", handed},
          {"charged, hook tired", tired},
          {"cancelling, charge open", open},
          {"cancelling, refund owed", owed},
          {"cancelling, handover open and refund owed", both},
          {"cancelling, refund refused", refused},
          {"cancelling, declined", declined},
          {"fulfilled", steps::next(charged, kStart).next},
          {"rejected", reject(placed, Reason::insufficient_stock, kStart).next},
          {"cancelled", steps::refund(owed, kStart).next}};
}

void expect_timeline(const Order& order) {
  ASSERT_EQ(order.timeline.size(), order.version.number);
  for (std::size_t index = 0; index < order.timeline.size(); ++index) {
    EXPECT_EQ(order.timeline[index].version.number, index + 1);
    if (index == 0) continue;
    EXPECT_EQ(order.timeline[index].from, order.timeline[index - 1].to);
    EXPECT_GE(order.timeline[index].at, order.timeline[index - 1].at);
    EXPECT_TRUE(is_legal(order.timeline[index - 1].to, order.timeline[index].to));
  }
  EXPECT_EQ(order.timeline.back().to, order.status);
}

void expect_stock(const Order& before, const Advance& advance) {
  switch (advance.stock) {
    case StockMove::none:
      EXPECT_EQ(before.holds_stock, advance.next.holds_stock);
      break;
    case StockMove::reserve:
      EXPECT_TRUE(!before.holds_stock && advance.next.holds_stock);
      break;
    case StockMove::release:
      EXPECT_TRUE(before.holds_stock && !advance.next.holds_stock);
      EXPECT_NE(advance.next.status, Status::fulfilled);
      break;
    case StockMove::sell:
      EXPECT_TRUE(before.holds_stock && !advance.next.holds_stock);
      EXPECT_EQ(advance.next.status, Status::fulfilled);
      break;
  }
}

void expect_money(const Order& order) {
  const bool undecided = order.charge == Charge::open || order.charge == Charge::captured;
  if (order.status == Status::cancelled || order.status == Status::rejected) {
    EXPECT_FALSE(undecided) << "ended with money unresolved";
  }
  if (is_open_dead_letter(order)) {
    EXPECT_FALSE(undecided) << "dead-lettered with money unresolved";
  }
  if (order.status == Status::fulfilled || order.status == Status::charged) {
    EXPECT_EQ(order.charge, order.total.minor_units == 0 ? Charge::none : Charge::captured);
  }
}

void expect_valid(const Order& before, const Step& step) {
  const auto* advance = std::get_if<Advance>(&step);
  if (const auto* wait = std::get_if<Wait>(&step)) {
    EXPECT_GE(wait->until, kStart);
  }
  if (const auto* effect = std::get_if<Effect>(&step)) {
    EXPECT_EQ(effect->key, effect_key(before, effect->kind));
  }
  if (advance == nullptr) return;
  EXPECT_EQ(advance->next.version.number, before.version.number + 1) << "one version a transition";
  EXPECT_EQ(advance->next.id, before.id);
  EXPECT_EQ(advance->next.items, before.items);
  EXPECT_EQ(advance->next.total, before.total);
  EXPECT_EQ(advance->next.created_at, before.created_at);
  EXPECT_EQ(advance->next.interruptions, 0);
  expect_timeline(advance->next);
  expect_stock(before, *advance);
  expect_money(advance->next);
}

TEST(SagaTable, EveryOutcomeOfEveryEffectInEveryShapeIsLegal) {
  for (const Shape& shape : shapes()) {
    for (const EffectKind effect : kEffects) {
      for (const OutcomeKind outcome : kOutcomes) {
        for (const SagaPolicy& policy : {SagaPolicy{}, hooked()}) {
          SCOPED_TRACE(shape.name + ", effect " + std::to_string(static_cast<int>(effect)) +
                       ", outcome " + std::to_string(static_cast<int>(outcome)));
          expect_valid(shape.order,
                       after_effect(shape.order, effect, {outcome, "ref"}, policy, kMoment, 1));
        }
      }
    }
  }
}

TEST(SagaTable, EveryNextStepCancelRedriveAndInterruptionIsLegal) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(shape.name);
    const Order& order = shape.order;
    const auto cancelled = cancel(order, kStart);
    if (cancelled && *cancelled) expect_valid(order, **cancelled);
    if (const auto redriven = redrive(order, kStart)) expect_valid(order, *redriven);
    if (const auto discarded = discard(order, kStart)) expect_valid(order, *discarded);
    if (is_terminal(order.status)) continue;
    expect_valid(order, next_step(order, {}, {order.due, 0}));
    expect_valid(order, next_step(order, hooked(), {order.due + Duration::hours(30), 0}));
    expect_valid(order, dead_letter_interrupted(order, {}, kStart));
  }
}

TEST(SagaTable, AnOrderThatEndedIsMovedByNothing) {
  for (const Shape& shape : shapes()) {
    if (!is_terminal(shape.order.status)) continue;
    for (const EffectKind effect : kEffects) {
      for (const OutcomeKind outcome : kOutcomes) {
        const Step step = after_effect(shape.order, effect, {outcome, "ref"}, {}, kMoment, 1);
        EXPECT_TRUE(std::holds_alternative<Wait>(step)) << shape.name;
      }
    }
  }
}

TEST(SagaTable, AnEffectOfAnotherStageChangesNothing) {
  for (const Shape& shape : shapes()) {
    for (const OutcomeKind outcome : kOutcomes) {
      const auto step = [&](EffectKind kind) {
        return after_effect(shape.order, kind, {outcome, "ref"}, {}, kMoment, 1);
      };
      if (shape.order.status == Status::reserved) {
        EXPECT_TRUE(std::holds_alternative<Wait>(step(EffectKind::fulfill))) << shape.name;
        EXPECT_TRUE(std::holds_alternative<Wait>(step(EffectKind::refund))) << shape.name;
      }
      if (shape.order.status == Status::charged) {
        EXPECT_TRUE(std::holds_alternative<Wait>(step(EffectKind::charge))) << shape.name;
        EXPECT_TRUE(std::holds_alternative<Wait>(step(EffectKind::close_charge))) << shape.name;
      }
      if (shape.order.dead_letter && is_open_dead_letter(shape.order)) {
        EXPECT_TRUE(std::holds_alternative<Wait>(step(EffectKind::charge))) << shape.name;
      }
    }
  }
}

}  // namespace
}  // namespace penstock::domain
