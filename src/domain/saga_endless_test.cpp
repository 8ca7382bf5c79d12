#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "domain/limits.h"
#include "domain/saga.h"
#include "tests/contract/order_builder.h"

// Peers that answer the same for ever, or two things in turn: whatever they say in whatever state,
// every way through the saga waits or uses up a counter, and the timeline stays within its bound.
namespace penstock::domain {
namespace {

using store_contract::OrderBuilder;
namespace steps = store_contract::steps;

constexpr Instant kStart{1'800'000'000'000'000};
constexpr std::size_t kKinds = 7;
constexpr std::size_t kOutcomes = 8;
/// Steps of one order without any time passing.
constexpr int kMaxStepsAtOnce = 24;
constexpr std::size_t kMaxEffectsAnHour = 1'000;

OutcomeKind outcome(std::size_t number) {
  return static_cast<OutcomeKind>(number);
}

/// What each kind of effect is answered: its outcomes in turn.
using Answers = std::function<OutcomeKind(EffectKind kind, std::size_t asked_before)>;

/// One order and its worker, on virtual time.
class Endless {
 public:
  Endless(Order order, SagaPolicy policy, Answers answers)
      : order_(std::move(order)), policy_(policy), answers_(std::move(answers)) {
    now_ = std::max(order_.updated_at, kStart);
    // Orders wait for their time once, and what is due counts from there.
  }

  void run(Duration for_time) {
    const Instant until = now_ + for_time;
    int at_once = 0;
    while (!is_terminal(order_.status) && now_ < until) {
      const Instant before = now_;
      turn();
      ASSERT_LT(order_.timeline.size(), limits::kMaxTimelineEvents);
      ASSERT_EQ(order_.timeline.size(), order_.version.number);
      at_once = now_ > before ? 0 : at_once + 1;
      ASSERT_LT(at_once, kMaxStepsAtOnce) << "it goes on and on without a pause";
      ASSERT_LT(effects_at_.size(), kMaxEffectsAnHour) << "effects within an hour";
    }
  }

  const Order& order() const { return order_; }
  std::size_t effects() const { return effects_; }
  void replace(Order order) { order_ = std::move(order); }
  Instant now() const { return now_; }

 private:
  void turn() {
    Step step = next_step(order_, policy_, {now_, random_()});
    for (int asked = 0; asked < 4; ++asked) {
      const auto* effect = std::get_if<Effect>(&step);
      if (effect == nullptr) break;
      step = answered(effect->kind);
    }
    ASSERT_FALSE(std::holds_alternative<Effect>(step)) << "it asks and asks";
    if (const auto* wait = std::get_if<Wait>(&step)) {
      now_ = std::max(now_, wait->until);
      return;
    }
    order_ = std::get<Advance>(std::move(step)).next;
  }

  Step answered(EffectKind kind) {
    effects_ += 1;
    effects_at_.push_back(now_);
    while (now_ - effects_at_.front() >= Duration::hours(1)) effects_at_.pop_front();
    const OutcomeKind told = answers_(kind, asked_[kind]++);
    failures_ = settles(kind, told) ? 0 : failures_ + 1;
    return after_effect(order_, kind, {told, "ref"}, policy_, {now_, random_()},
                        std::max(failures_, 1U));
  }

  std::mt19937_64 random_{7};
  Order order_;
  SagaPolicy policy_;
  Answers answers_;
  Instant now_;
  std::uint32_t failures_ = 0;
  std::size_t effects_ = 0;
  std::deque<Instant> effects_at_;
  std::map<EffectKind, std::size_t> asked_;
};

SagaPolicy hooked() {
  SagaPolicy policy;
  policy.fulfillment = FulfillmentMode::hook;
  return policy;
}

struct Shape {
  std::string name;
  Order order;
};

Order after(const Order& order, EffectKind kind, OutcomeKind told) {
  return steps::advance_of(after_effect(order, kind, {told, "ref"}, hooked(), {kStart, 7}, 1)).next;
}

std::vector<Shape> shapes() {
  const Order placed = OrderBuilder(1).placed(kStart);
  const Order reserved = steps::next(placed, kStart).next;
  const Order failed = after(reserved, EffectKind::charge, OutcomeKind::transient);
  const Order exhausted = after(after(failed, EffectKind::charge, OutcomeKind::transient),
                                EffectKind::charge, OutcomeKind::transient);
  const Order dead = after(exhausted, EffectKind::close_charge, OutcomeKind::closed);
  const Order charged = steps::capture(reserved, kStart).next;
  const Order handed = after(reserved, EffectKind::charge, OutcomeKind::done);
  return {{"placed", placed},
          {"reserved", reserved},
          {"reserved, failed once", failed},
          {"reserved, attempts used up", exhausted},
          {"reserved, dead letter", dead},
          {"reserved, redriven", redrive(dead, kStart)->next},
          {"reserved, interrupted", dead_letter_interrupted(reserved, {}, kStart).next},
          {"charged", charged},
          {"charged, hook", handed},
          {"cancelling, charge open", steps::cancel(reserved, kStart).next},
          {"cancelling, refund owed", steps::cancel(charged, kStart).next},
          {"cancelling, handover open and refund owed", steps::cancel(handed, kStart).next}};
}

/// Runs every way to answer each kind of effect that is asked at all, each always the same.
std::size_t run_every_stubbornness(const Shape& shape, const SagaPolicy& policy) {
  std::vector<std::size_t> choices;
  std::size_t runs = 0;
  for (bool more = true; more && !::testing::Test::HasFatalFailure();) {
    std::map<EffectKind, std::size_t> place;
    std::string told;
    Endless endless(shape.order, policy, [&](EffectKind kind, std::size_t) {
      const auto [found, is_new] = place.try_emplace(kind, place.size());
      if (found->second == choices.size()) choices.push_back(0);
      if (is_new) {
        told += " " + std::to_string(static_cast<int>(kind)) + "=" +
                std::to_string(choices[found->second]);
      }
      return outcome(choices[found->second]);
    });
    endless.run(Duration::hours(2));
    if (::testing::Test::HasFatalFailure()) {
      ADD_FAILURE() << shape.name << told;
      return runs;
    }
    runs += 1;
    choices.resize(place.size());
    while (!choices.empty() && choices.back() + 1 == kOutcomes) choices.pop_back();
    more = !choices.empty();
    if (more) choices.back() += 1;
  }
  return runs;
}

TEST(SagaEndless, EveryAnswerThatIsRepeatedForEverIsPacedAndBounded) {
  std::size_t runs = 0;
  for (const Shape& shape : shapes()) {
    for (const SagaPolicy& policy : {SagaPolicy{}, hooked()}) {
      runs += run_every_stubbornness(shape, policy);
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_GT(runs, 2'000U) << "the ways were really walked";
}

TEST(SagaEndless, TwoAnswersInTurnArePacedAndBounded) {
  std::mt19937_64 random(11);
  for (const Shape& shape : shapes()) {
    for (int round = 0; round < 400; ++round) {
      std::array<std::array<OutcomeKind, 2>, kKinds> told{};
      for (std::size_t kind = 0; kind < kKinds; ++kind) {
        // The first 64 rounds: the same two for all kinds, each pair once.
        const auto pair = static_cast<std::size_t>(round < 64 ? round : random() % 64);
        told.at(kind) = {outcome(pair % kOutcomes), outcome(pair / kOutcomes)};
      }
      SCOPED_TRACE(shape.name + ", round " + std::to_string(round));
      Endless endless(shape.order, round % 2 == 0 ? SagaPolicy{} : hooked(),
                      [&](EffectKind kind, std::size_t asked_before) {
                        return told.at(static_cast<std::size_t>(kind)).at(asked_before % 2);
                      });
      endless.run(Duration::hours(2));
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST(SagaEndless, AGatewayThatClosesEveryKeyEndsTheOrder) {
  Endless endless(shapes()[1].order, {},
                  [](EffectKind, std::size_t) { return OutcomeKind::closed; });
  endless.run(Duration::hours(100));
  EXPECT_EQ(endless.order().status, Status::cancelled);
  EXPECT_FALSE(endless.order().holds_stock);
  EXPECT_EQ(endless.effects(), 4U) << "three charges, and the close of the last key";
  ASSERT_TRUE(endless.order().dead_letter);
  EXPECT_EQ(endless.order().dead_letter->last_error, Reason::charge_key_closed);
  EXPECT_EQ(endless.order().dead_letter->attempts, 3);
}

TEST(SagaEndless, KeysThatNeverLiveLongEnoughEndTheOrderAtTheBoundOfItsTimeline) {
  for (const Duration retention : {Duration{0}, Duration::seconds(1), Duration::hours(2)}) {
    SagaPolicy policy;
    policy.gateway_key_retention = retention;
    Endless endless(shapes()[1].order, policy, [](EffectKind kind, std::size_t) {
      return kind == EffectKind::close_charge ? OutcomeKind::closed : OutcomeKind::not_found;
    });
    endless.run(Duration::hours(24 * 60));
    EXPECT_EQ(endless.order().status, Status::cancelled) << retention.us;
    ASSERT_TRUE(endless.order().dead_letter);
    EXPECT_EQ(endless.order().dead_letter->last_error, Reason::charge_key_expired);
    EXPECT_LT(endless.order().timeline.size(), limits::kMaxTimelineEvents);
  }
}

TEST(SagaEndless, RedrivesAndInterruptionsWithoutEndStayWithinTheTimeline) {
  Endless endless(shapes()[1].order, {}, [](EffectKind kind, std::size_t) {
    return kind == EffectKind::close_charge ? OutcomeKind::closed : OutcomeKind::transient;
  });
  bool refused = false;
  for (int round = 0; round < 300 && !refused; ++round) {
    while (!is_open_dead_letter(endless.order())) {
      endless.run(Duration::milliseconds(1));
      ASSERT_FALSE(HasFailure());
      if (round % 3 == 0 && !was_interrupted(endless.order())) {
        endless.replace(dead_letter_interrupted(endless.order(), {}, endless.now()).next);
      }
    }
    const auto redriven = redrive(endless.order(), endless.now());
    refused = !redriven;
    if (redriven) endless.replace(redriven->next);
  }
  EXPECT_TRUE(refused) << "the timeline has no room for another redrive";
  endless.run(Duration::hours(100));
  EXPECT_EQ(endless.order().status, Status::cancelled);
}

TEST(SagaEndless, ARefundThatFailsForEverIsRecordedOnceAKindOfFailure) {
  Endless endless(shapes()[10].order, {}, [](EffectKind, std::size_t asked_before) {
    constexpr std::array kTold = {OutcomeKind::refused, OutcomeKind::transient,
                                  OutcomeKind::unknown, OutcomeKind::permanent};
    return kTold.at(asked_before % kTold.size());
  });
  const std::size_t before = endless.order().timeline.size();
  for (int hour = 0; hour < 50; ++hour) endless.run(Duration::hours(1));
  EXPECT_EQ(endless.order().status, Status::cancelling) << "money that is owed is never given up";
  std::map<Reason, int> recorded;
  for (std::size_t index = before; index < endless.order().timeline.size(); ++index) {
    recorded[endless.order().timeline[index].reason] += 1;
  }
  const std::map<Reason, int> once = {
      {Reason::refund_refused, 1}, {Reason::gateway_unavailable, 1}, {Reason::outcome_unknown, 1}};
  EXPECT_EQ(recorded, once);
  EXPECT_GT(endless.order().attempts, 0);
}

}  // namespace
}  // namespace penstock::domain
