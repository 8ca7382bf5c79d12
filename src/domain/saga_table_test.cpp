#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
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
  Order unsure = both;  // no way leads here
  unsure.charge = Charge::open;
  const Order free = steps::next(OrderBuilder(2).item("P", 1, 0).placed(kStart), kStart).next;
  std::vector<Shape> all{
      {"placed", placed},
      {"placed, dead letter", dead_letter_interrupted(placed, {}, kStart).next},
      {"reserved", reserved},
      {"reserved, attempts used up", exhausted},
      {"reserved, dead letter", dead},
      {"reserved, redriven", redrive(dead, kStart)->next},
      {"reserved, interrupted", dead_letter_interrupted(reserved, {}, kStart).next},
      {"reserved, nothing to charge", free},
      {"reserved, nothing to charge, interrupted", dead_letter_interrupted(free, {}, kStart).next},
      {"charged", charged},
      {"charged, hook", handed},
      {"charged, hook tired", tired},
      {"cancelling, charge open", open},
      {"cancelling, refund owed", owed},
      {"cancelling, handover open and refund owed", both},
      {"cancelling, handover and charge open", unsure},
      {"cancelling, refund refused", refused},
      {"cancelling, declined", declined},
      {"fulfilled", steps::next(charged, kStart).next},
      {"rejected", reject(placed, Reason::insufficient_stock, kStart).next},
      {"cancelled", steps::refund(owed, kStart).next}};
  for (Shape& shape : all) shape.order.interruptions = 1;
  return all;
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

// --- The whole table, word for word ------------------------------------------------------------

constexpr std::array kEffectNames = {"charge",  "find_charge",      "close_charge",     "refund",
                                     "fulfill", "find_fulfillment", "close_fulfillment"};
constexpr std::array kOutcomeNames = {"done",    "refused",   "transient", "permanent",
                                      "unknown", "not_found", "closed",    "unavailable"};
constexpr Moment kLater{kStart + Duration::seconds(5), 0x9e37'79b9'7f4a'7c15};

/// In seconds from the start of the test; "never" is the default.
std::string shown(Instant at) {
  if (at == Instant{}) return "never";
  return std::to_string((at.us - kStart.us) / 1'000) + "ms";
}

std::string shown(const std::optional<DeadLetter>& mark) {
  if (!mark) return "none";
  return std::to_string(static_cast<int>(mark->state)) + " of " +
         std::string(to_string(mark->stage)) + ", " + std::string(to_string(mark->first_error)) +
         ".." + std::string(to_string(mark->last_error)) + ", " + std::to_string(mark->attempts) +
         " attempts, " + shown(mark->first_failed_at) + ".." + shown(mark->at);
}

std::string shown(const Event& event) {
  return (event.from ? std::string(to_string(*event.from)) : "-") + ">" +
         std::string(to_string(event.to)) + " " + std::string(to_string(event.stage)) + " " +
         std::string(to_string(event.reason)) + " " + std::to_string(event.attempt) + " at " +
         shown(event.at);
}

template <typename Value>
std::string shown(Value value) {
  if constexpr (requires { to_string(value); }) {
    return std::string(to_string(value));
  } else {
    return std::to_string(static_cast<int>(value));
  }
}

/// What of an order is not as before, and its last event.
std::string changes(const Order& before, const Order& after) {
  std::ostringstream out;
  const auto tell = [&out](const char* name, const auto& old, const auto& now) {
    if (!(old == now)) out << ", " << name << ' ' << shown(now);
  };
  out << shown(after.timeline.back());
  tell("updated", before.updated_at, after.updated_at);
  tell("reason", before.reason, after.reason);
  tell("charge", before.charge, after.charge);
  tell("handover", before.handover, after.handover);
  tell("generation", before.key_generation, after.key_generation);
  tell("since", before.charge_since, after.charge_since);
  tell("attempts", before.attempts, after.attempts);
  tell("first error", before.first_error, after.first_error);
  tell("last error", before.last_error, after.last_error);
  tell("failed", before.first_failed_at, after.first_failed_at);
  tell("redrives", before.redrives, after.redrives);
  tell("due", before.due, after.due);
  tell("mark", before.dead_letter, after.dead_letter);
  if (before.capture_reference != after.capture_reference) out << ", " << after.capture_reference;
  return out.str();
}

std::string described(const Order& before, const Step& step) {
  if (const auto* wait = std::get_if<Wait>(&step)) return "wait " + shown(wait->until);
  if (const auto* effect = std::get_if<Effect>(&step)) {
    return "ask " + std::string(kEffectNames.at(static_cast<std::size_t>(effect->kind))) +
           effect->key.substr(before.id.str().size());
  }
  const auto& advance = std::get<Advance>(step);
  constexpr std::array kMoves = {"", " reserve", " release", " sell"};
  return changes(before, advance.next) + kMoves.at(static_cast<std::size_t>(advance.stock));
}

/// One line for each answer that differs, with what gives it.
class Lines {
 public:
  void add(const std::string& asked, const std::string& answer) {
    if (by_answer_[answer].empty()) order_.push_back(answer);
    by_answer_[answer].push_back(asked);
  }
  /// As lines of what is asked `of`.
  void move_into(Lines& lines, const std::string& of) const {
    for (const std::string& answer : order_) {
      std::string asked = of;
      const char* separator = "=";
      if (order_.size() > 1) {
        for (const std::string& each : by_answer_.at(answer)) {
          asked += std::exchange(separator, "|") + each;
        }
      }
      lines.add(asked, answer);
    }
  }
  void write(std::ostream& out) const {
    for (const std::string& answer : order_) {
      const char* separator = "  ";
      for (const std::string& asked : by_answer_.at(answer)) {
        out << std::exchange(separator, ", ") << asked;
      }
      out << ": " << answer << '\n';
    }
  }

 private:
  std::map<std::string, std::vector<std::string>> by_answer_;
  std::vector<std::string> order_;
};

void write_shape(std::ostream& out, const Shape& shape, const SagaPolicy& policy) {
  const Order& order = shape.order;
  Lines lines;
  if (!is_terminal(order.status)) {
    lines.add("next", described(order, next_step(order, policy, kLater)));
    const Moment due{order.due, 7};
    lines.add("next when due", described(order, next_step(order, policy, due)));
    const Moment old{order.due + Duration::hours(30), 7};
    lines.add("next after 30 h", described(order, next_step(order, policy, old)));
    lines.add("interrupted", described(order, dead_letter_interrupted(order, policy, kLater.now)));
  }
  if (order.status == Status::placed) {
    lines.add("reject", described(order, reject(order, Reason::unknown_product, kLater.now)));
    const Step reserve = next_step(order, policy, kLater);
    if (const auto* reserved = std::get_if<Advance>(&reserve)) {
      lines.add("found short",
                described(order, Advance{reject_instead(reserved->next, Reason::unknown_product)}));
    }
  }
  const auto cancelled = cancel(order, kLater.now);
  if (cancelled && *cancelled) lines.add("cancel", described(order, **cancelled));
  if (const auto next = redrive(order, kLater.now)) lines.add("redrive", described(order, *next));
  if (const auto next = discard(order, kLater.now)) lines.add("discard", described(order, *next));
  for (std::size_t effect = 0; effect < kEffectNames.size(); ++effect) {
    Lines of_effect;
    for (std::size_t outcome = 0; outcome < kOutcomeNames.size(); ++outcome) {
      const Step step =
          after_effect(order, kEffects[effect], {kOutcomes[outcome], "new"}, policy, kLater, 2);
      of_effect.add(kOutcomeNames.at(outcome), described(order, step));
    }
    of_effect.move_into(lines, kEffectNames.at(effect));
  }
  lines.write(out);
}

// A change of the saga shows as a change of that file: write it anew with PENSTOCK_WRITE_TABLE=1,
// and read the difference.
TEST(SagaTable, IsWordForWordWhatWasReadAndAgreedTo) {
  const std::string path = PENSTOCK_SAGA_TABLE;
  std::ostringstream table;
  table << "What the saga makes of every shape of an order, 5 s after it was placed.\n";
  for (const bool has_hook : {false, true}) {
    for (const Shape& shape : shapes()) {
      table << '\n' << shape.name << (has_hook ? " (with a hook)\n" : "\n");
      write_shape(table, shape, has_hook ? hooked() : SagaPolicy{});
    }
  }
  if (std::getenv("PENSTOCK_WRITE_TABLE") != nullptr) std::ofstream(path) << table.str();
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::istringstream now(table.str());
  std::string expected;
  std::string line;
  std::string shape;
  while (std::getline(now, line)) {
    if (!line.starts_with(' ')) shape = line;
    ASSERT_TRUE(std::getline(file, expected)) << "it ends before: " << line;
    ASSERT_EQ(line, expected) << shape;
  }
  EXPECT_FALSE(std::getline(file, expected)) << expected;
}

}  // namespace
}  // namespace penstock::domain
