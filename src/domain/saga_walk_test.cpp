#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "domain/limits.h"
#include "domain/saga.h"
#include "tests/contract/order_builder.h"

// Random walks of the saga against a tiny honest gateway and fulfiller: whatever goes wrong in
// whatever order, the invariants of semantics 6 hold in the end.
namespace penstock::domain {
namespace {

using store_contract::OrderBuilder;

constexpr int kMaxAttempts = 3;
constexpr Instant kStart{1'800'000'000'000'000};

/// What a peer knows under one key.
struct Key {
  bool acted = false;
  bool closed = false;
  bool declined = false;
};

class Walk {
 public:
  explicit Walk(std::uint64_t seed) : random_(seed) {
    policy_.fulfillment = chance(50) ? FulfillmentMode::hook : FulfillmentMode::accepts;
    order_ = OrderBuilder(seed).item("P", 1, chance(5) ? 0 : 1'000).placed(kStart);
  }

  void run() {
    const int troubled = static_cast<int>(random_() % 60);
    for (int round = 0; round < 2'000 && !is_terminal(order_.status); ++round) {
      calm_ = round > troubled;
      if (!calm_) ask_something();
      if (!is_terminal(order_.status)) step();
      check_always();
      if (::testing::Test::HasFatalFailure()) return;
    }
    check_end();
  }

  std::size_t charges_declined() const { return declines_; }
  Status status() const { return order_.status; }
  const Order& order() const { return order_; }

 private:
  bool chance(std::uint64_t percent) { return random_() % 100 < percent; }

  void take(const Advance& advance) {
    ASSERT_TRUE(is_legal(order_.status, advance.next.status));
    ASSERT_EQ(advance.next.version.number, order_.version.number + 1);
    if (advance.stock == StockMove::reserve) reserved_ += 1;
    if (advance.stock == StockMove::release) released_ += 1;
    if (advance.stock == StockMove::sell) sold_ += 1;
    const bool redriven = order_.dead_letter && !advance.next.dead_letter;
    if (redriven) reported_failures_.clear();
    if (advance.next.dead_letter && !order_.dead_letter) check_mark(advance.next);
    order_ = advance.next;
  }

  void ask_something() {
    if (chance(3)) {
      const auto cancelled = cancel(order_, now_);
      if (cancelled && *cancelled) take(**cancelled);
      if (cancelled) cancel_acknowledged_ = true;
    }
    if (chance(20)) {
      if (const auto redriven = redrive(order_, now_)) take(*redriven);
    }
    if (chance(5)) {
      if (const auto discarded = discard(order_, now_)) take(*discarded);
    }
    if (chance(2) && !is_terminal(order_.status) && !is_open_dead_letter(order_)) {
      take(dead_letter_interrupted(order_, policy_, now_));
    }
  }

  void step() {
    Step next = next_step(order_, policy_, {now_, random_()});
    while (auto* effect = std::get_if<Effect>(&next)) {
      const EffectKind kind = effect->kind;
      const std::string key = effect->key;
      const Outcome outcome = perform(*effect);
      // The worker may be gone before it commits, or somebody may cancel meanwhile.
      if (!calm_ && chance(5)) return;
      if (!calm_ && chance(5)) ask_something();
      next = after_effect(order_, kind, outcome, policy_, {now_, random_()}, 1);
      if (kind == EffectKind::charge && std::holds_alternative<Advance>(next)) {
        if (outcome.kind == OutcomeKind::transient) reported_failures_[key] += 1;
        if (outcome.kind == OutcomeKind::permanent) reported_failures_[key] = kMaxAttempts;
      }
    }
    if (const auto* wait = std::get_if<Wait>(&next)) {
      now_ = std::max(now_ + Duration::milliseconds(1), wait->until);
      if (!calm_ && chance(10)) now_ = now_ + Duration::hours(30);
    } else {
      const Advance& advance = std::get<Advance>(next);
      if (advance.stock == StockMove::reserve && chance(5)) {
        order_ = reject_instead(advance.next, Reason::insufficient_stock);
        return;
      }
      take(advance);
    }
  }

  Outcome perform(const Effect& effect) {
    EXPECT_EQ(effect.key, effect_key(order_, effect.kind)) << "one key a generation";
    if (!calm_ && chance(10)) return {OutcomeKind::unavailable, {}};
    if (!calm_ && chance(10)) return {OutcomeKind::unknown, {}};  // the request was lost
    const Outcome outcome = act(effect);
    if (!calm_ && chance(15)) return {OutcomeKind::unknown, {}};  // the answer was lost
    return outcome;
  }

  Outcome act(const Effect& effect) {
    Key& key = keys_[effect.key];
    switch (effect.kind) {
      case EffectKind::charge:
      case EffectKind::fulfill:
        return act_forward(effect, key);
      case EffectKind::find_charge:
      case EffectKind::find_fulfillment:
        if (key.acted) return {OutcomeKind::done, "ref"};
        if (key.declined) return {OutcomeKind::refused, {}};
        return {key.closed ? OutcomeKind::closed : OutcomeKind::not_found, {}};
      case EffectKind::close_charge:
      case EffectKind::close_fulfillment:
        if (key.acted) return {OutcomeKind::done, "ref"};
        key.closed = true;
        return {OutcomeKind::closed, {}};
      case EffectKind::refund:
        if (!calm_ && chance(30)) return {OutcomeKind::refused, {}};
        if (!calm_ && chance(10)) return {OutcomeKind::transient, {}};
        key.acted = true;
        return {OutcomeKind::done, "refund"};
    }
    return {};
  }

  Outcome act_forward(const Effect& effect, Key& key) {
    if (key.acted) return {OutcomeKind::done, "ref"};
    if (key.closed) return {OutcomeKind::closed, {}};
    if (key.declined) return {OutcomeKind::refused, {}};
    const bool is_charge = effect.kind == EffectKind::charge;
    if (is_charge) {
      EXPECT_LT(reported_failures_[effect.key], kMaxAttempts) << "a fourth try";
    }
    if (!calm_ && chance(5)) return {OutcomeKind::permanent, {}};
    if (!calm_ && chance(30)) return {OutcomeKind::transient, {}};
    if (chance(10)) {
      key.declined = true;
      declines_ += 1;
      return {OutcomeKind::refused, {}};
    }
    key.acted = true;
    return {OutcomeKind::done, "ref"};
  }

  void check_mark(const Order& marked) {
    EXPECT_NE(marked.charge, Charge::open) << "dead-lettered while its charge is unresolved";
    if (marked.dead_letter->state == DeadLetterState::open) {
      EXPECT_EQ(captures(), 0U) << "dead-lettered with money captured";
    }
  }

  std::size_t captures() const {
    return static_cast<std::size_t>(std::ranges::count_if(keys_, [](const auto& entry) {
      return entry.first.find("/charge") != std::string::npos && entry.second.acted;
    }));
  }
  bool has_acted(EffectKind kind) const {
    const auto found = keys_.find(effect_key(order_, kind));
    return found != keys_.end() && found->second.acted;
  }

  void check_always() {
    ASSERT_LE(captures(), 1U);
    ASSERT_LT(order_.timeline.size(), limits::kMaxTimelineEvents);
    ASSERT_EQ(order_.timeline.size(), order_.version.number);
    ASSERT_EQ(reserved_ - released_ - sold_, order_.holds_stock ? 1 : 0);
    if (order_.status == Status::cancelling || is_terminal(order_.status)) {
      ASSERT_FALSE(order_.holds_stock);
    }
  }

  void check_end() {
    ASSERT_TRUE(is_terminal(order_.status)) << "everything ends once faults stop";
    const auto ends = std::ranges::count_if(
        order_.timeline, [](const Event& event) { return is_terminal(event.to); });
    EXPECT_EQ(ends, 1) << "exactly one terminal state";
    const bool captured = captures() == 1;
    const bool refunded = has_acted(EffectKind::refund);
    EXPECT_FALSE(refunded && !captured) << "a refund without a capture";
    if (order_.status == Status::fulfilled) {
      EXPECT_FALSE(cancel_acknowledged_) << "an acknowledged cancel is never fulfilled";
      EXPECT_FALSE(refunded);
      EXPECT_EQ(captured, order_.total.minor_units > 0);
      EXPECT_EQ(sold_, 1);
      if (policy_.fulfillment == FulfillmentMode::hook) {
        EXPECT_TRUE(has_acted(EffectKind::fulfill));
      }
    } else {
      EXPECT_EQ(captured, refunded) << "charged, then fulfilled or refunded";
      EXPECT_EQ(sold_, 0);
      EXPECT_FALSE(is_open_dead_letter(order_));
    }
    for (const auto& [key, state] : keys_) {
      if (key.find("/charge") != std::string::npos && !state.acted) {
        EXPECT_TRUE(state.closed || state.declined || key != effect_key(order_, EffectKind::charge))
            << "ended while a charge could still arrive";
      }
    }
  }

  std::mt19937_64 random_;
  SagaPolicy policy_;
  Order order_;
  Instant now_ = kStart;
  bool calm_ = false;
  bool cancel_acknowledged_ = false;
  int reserved_ = 0;
  int released_ = 0;
  int sold_ = 0;
  std::size_t declines_ = 0;
  std::map<std::string, Key> keys_;
  std::map<std::string, int> reported_failures_;
};

TEST(SagaWalk, TheInvariantsHoldWhateverGoesWrongInWhateverOrder) {
  std::map<Status, int> ended;
  int redriven = 0;
  int replaced_keys = 0;
  for (std::uint64_t seed = 1; seed <= 50'000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk walk(seed);
    walk.run();
    ASSERT_FALSE(HasFailure());
    ended[walk.status()] += 1;
    redriven += walk.order().redrives > 0 ? 1 : 0;
    replaced_keys += walk.order().key_generation > walk.order().redrives ? 1 : 0;
  }
  // The walks have seen all of it.
  EXPECT_GT(ended[Status::fulfilled], 500);
  EXPECT_GT(ended[Status::cancelled], 500);
  EXPECT_GT(ended[Status::rejected], 50);
  EXPECT_GT(redriven, 50);
  EXPECT_GT(replaced_keys, 50);
}

// Workers that share a store have clocks of their own.
TEST(SagaOfManyWorkers, TimesOfOneOrderDoNotGoBackWhereAClockIsBehind) {
  namespace steps = store_contract::steps;
  const Instant behind = kStart - Duration::seconds(2);
  const Order reserved = steps::next(OrderBuilder(1).placed(kStart), kStart).next;
  const Order refused = steps::refuse(reserved, kStart).next;
  const Order marked = steps::close_charge(refused, behind).next;
  ASSERT_TRUE(is_open_dead_letter(marked));
  EXPECT_EQ(marked.dead_letter->first_failed_at, kStart);
  EXPECT_EQ(marked.dead_letter->at, kStart);
  EXPECT_EQ(marked.updated_at, kStart);
  EXPECT_EQ(marked.due, kStart + SagaPolicy{}.dead_letter_hold);
  EXPECT_EQ(marked.timeline.back().at, marked.dead_letter->at);
}

}  // namespace
}  // namespace penstock::domain
