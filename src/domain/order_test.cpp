#include "domain/order.h"

#include <array>
#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "domain/limits.h"

namespace penstock::domain {
namespace {

constexpr std::array kStatuses{Status::placed,    Status::reserved, Status::charged,
                               Status::fulfilled, Status::rejected, Status::cancelling,
                               Status::cancelled};

TEST(Order, TransitionsAreExactlyThoseOfTheDesign) {
  const std::set<std::pair<Status, Status>> legal{
      {Status::placed, Status::reserved},     {Status::placed, Status::rejected},
      {Status::placed, Status::cancelling},   {Status::placed, Status::cancelled},
      {Status::reserved, Status::charged},    {Status::reserved, Status::cancelling},
      {Status::charged, Status::fulfilled},   {Status::charged, Status::cancelling},
      {Status::cancelling, Status::cancelled}};
  for (const Status from : kStatuses) {
    for (const Status to : kStatuses) {
      const bool stays = from == to && !is_terminal(from);
      EXPECT_EQ(is_legal(from, to), stays || legal.contains({from, to}))
          << to_string(from) << " to " << to_string(to);
    }
  }
}

TEST(Order, TerminalStatesAreInNoQueue) {
  for (const Status status : kStatuses) {
    EXPECT_EQ(is_terminal(status), !stage_of(status).has_value()) << to_string(status);
  }
  EXPECT_EQ(stage_of(Status::placed), Stage::inventory);
  EXPECT_EQ(stage_of(Status::reserved), Stage::payment);
  EXPECT_EQ(stage_of(Status::charged), Stage::fulfillment);
  EXPECT_EQ(stage_of(Status::cancelling), Stage::payment);
}

TEST(Order, StatusAndStageTextsAreReadBack) {
  for (const Status status : kStatuses) EXPECT_EQ(parse_status(to_string(status)), status);
  for (const Stage stage :
       {Stage::ingest, Stage::inventory, Stage::payment, Stage::fulfillment, Stage::notification}) {
    EXPECT_EQ(parse_stage(to_string(stage)), stage);
  }
  for (const char* text : {"", "Placed", "placed ", "unknown"}) {
    EXPECT_FALSE(parse_status(text));
    EXPECT_FALSE(parse_stage(text));
  }
  EXPECT_EQ(to_string(Status::cancelling), "cancelling");
  EXPECT_EQ(to_string(Stage::fulfillment), "fulfillment");
}

// Records and rows hold them: another number is another order.
TEST(Order, StoredNumbersAreTheseForEver) {
  using std::to_underlying;
  EXPECT_EQ(to_underlying(Status::placed), 1);
  EXPECT_EQ(to_underlying(Status::reserved), 2);
  EXPECT_EQ(to_underlying(Status::charged), 3);
  EXPECT_EQ(to_underlying(Status::fulfilled), 4);
  EXPECT_EQ(to_underlying(Status::rejected), 5);
  EXPECT_EQ(to_underlying(Status::cancelling), 6);
  EXPECT_EQ(to_underlying(Status::cancelled), 7);
  EXPECT_EQ(to_underlying(Stage::ingest), 1);
  EXPECT_EQ(to_underlying(Stage::inventory), 2);
  EXPECT_EQ(to_underlying(Stage::payment), 3);
  EXPECT_EQ(to_underlying(Stage::fulfillment), 4);
  EXPECT_EQ(to_underlying(Stage::notification), 5);
  EXPECT_EQ(kStages, 5U);
  EXPECT_EQ(to_underlying(Charge::none), 0);
  EXPECT_EQ(to_underlying(Charge::open), 1);
  EXPECT_EQ(to_underlying(Charge::captured), 2);
  EXPECT_EQ(to_underlying(Charge::closed), 3);
  EXPECT_EQ(to_underlying(Charge::refunded), 4);
  EXPECT_EQ(to_underlying(Handover::none), 0);
  EXPECT_EQ(to_underlying(Handover::open), 1);
  EXPECT_EQ(to_underlying(Handover::accepted), 2);
  EXPECT_EQ(to_underlying(Handover::closed), 3);
  EXPECT_EQ(to_underlying(DeadLetterState::open), 1);
  EXPECT_EQ(to_underlying(DeadLetterState::compensated), 2);
  EXPECT_EQ(to_underlying(DeadLetterState::discarded), 3);
}

TEST(Order, BeginsWithNothingHeldNothingChargedAndNothingCounted) {
  const Order order;
  EXPECT_EQ(order.status, Status::placed);
  EXPECT_EQ(order.charge, Charge::none);
  EXPECT_EQ(order.handover, Handover::none);
  EXPECT_FALSE(order.holds_stock);
  EXPECT_EQ(order.key_generation, 0);
  EXPECT_EQ(order.attempts, 0);
  EXPECT_EQ(order.interruptions, 0);
  EXPECT_EQ(order.redrives, 0);
  EXPECT_EQ(order.reason, Reason::none);
  EXPECT_EQ(order.first_error, Reason::none);
  EXPECT_EQ(order.last_error, Reason::none);
  const Item item;
  EXPECT_EQ(item.quantity, 1);
  EXPECT_EQ(item.price_minor, 0);
  const Event event;
  EXPECT_EQ(event.to, Status::placed);
  EXPECT_EQ(event.stage, Stage::ingest);
  EXPECT_EQ(event.attempt, 0);
  const DeadLetter mark;
  EXPECT_EQ(mark.state, DeadLetterState::open);
  EXPECT_EQ(mark.stage, Stage::payment);
  EXPECT_EQ(mark.attempts, 0);
}

TEST(Order, OwesARefundOnlyWhileCapturedMoneyIsBeingGivenBack) {
  Order order;
  for (const Status status : kStatuses) {
    for (const Charge charge :
         {Charge::none, Charge::open, Charge::captured, Charge::closed, Charge::refunded}) {
      order.status = status;
      order.charge = charge;
      EXPECT_EQ(owes_refund(order), status == Status::cancelling && charge == Charge::captured);
    }
  }
}

TEST(Order, OnlyAnOpenMarkIsAnOpenDeadLetter) {
  Order order;
  EXPECT_FALSE(is_open_dead_letter(order));
  order.dead_letter = DeadLetter{};
  EXPECT_TRUE(is_open_dead_letter(order));
  for (const auto state : {DeadLetterState::compensated, DeadLetterState::discarded}) {
    order.dead_letter->state = state;
    EXPECT_FALSE(is_open_dead_letter(order));
  }
}

TEST(Order, TheTotalIsTheSumOfLinesWithinTheLimit) {
  const auto item = [](std::int32_t quantity, std::int64_t price) {
    return Item{ProductId::unchecked("P"), quantity, price};
  };
  EXPECT_EQ(total_of({item(2, 1'050), item(3, 1)}), 2'103);
  EXPECT_EQ(total_of({item(7, 0)}), 0);
  EXPECT_EQ(total_of({item(1, limits::kMaxAmountMinor)}), limits::kMaxAmountMinor);
  EXPECT_EQ(total_of({item(2, limits::kMaxAmountMinor)}), std::nullopt);
  EXPECT_EQ(total_of({item(1, limits::kMaxAmountMinor), item(1, 1)}), std::nullopt);
  EXPECT_EQ(total_of({item(1'000'000, INT64_MAX)}), std::nullopt);
}

}  // namespace
}  // namespace penstock::domain
