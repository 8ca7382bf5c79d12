#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

// Processes that run some of the stages on one store: each leaves an order where the next one's
// stage begins, and steps share a commit only within the stages of one process.
namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::OrderId;
using domain::Stage;
using domain::Status;
using store_contract::OrderBuilder;
namespace steps = store_contract::steps;

constexpr Stages kNone{.ingest = false,
                       .inventory = false,
                       .payment = false,
                       .fulfillment = false,
                       .notification = false};

class SplitStages : public ::testing::Test {
 protected:
  SplitStages() { world.stock("PROD-1", 10); }

  /// The next process, with these stages; it works off what it can.
  void run(Stages stages) {
    world.options.pipeline.stages = stages;
    world.restart();
    world.run_for(Duration::seconds(2));
  }
  void run_only(bool Stages::* stage) {
    Stages stages = kNone;
    stages.*stage = true;
    run(stages);
  }
  OrderId place(std::int64_t price_minor = 1'000) {
    return world.place(OrderBuilder(1).item("PROD-1", 2, price_minor).placed(world.wall));
  }
  std::uint32_t version(const OrderId& id) { return world.order(id).version.number; }

  World world;
};

TEST_F(SplitStages, EachStageLeavesTheOrderWhereTheNextBegins) {
  run_only(&Stages::ingest);
  const OrderId id = place();
  world.run_for(Duration::seconds(2));
  EXPECT_EQ(world.status(id), Status::placed) << "nobody here reserves";
  EXPECT_EQ(world.stock_of("PROD-1").reserved, 0);
  run_only(&Stages::inventory);
  EXPECT_EQ(world.status(id), Status::reserved);
  EXPECT_EQ(world.stock_of("PROD-1").reserved, 2);
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 0U);
  run_only(&Stages::payment);
  EXPECT_EQ(world.status(id), Status::charged);
  run_only(&Stages::notification);
  EXPECT_EQ(world.status(id), Status::charged) << "it has not ended";
  run_only(&Stages::fulfillment);
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(version(id), 4U);
  EXPECT_EQ(world.disk->store().depth().terminal_batches, 1U) << "nobody is told yet";
  run_only(&Stages::notification);
  EXPECT_EQ(world.disk->store().depth().terminal_batches, 0U);
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SplitStages, AnOrderWithoutACostIsNotPaidWhereNobodyRunsPayment) {
  run({.ingest = true, .inventory = true, .payment = false, .fulfillment = true});
  const OrderId id = place(0);
  world.run_for(Duration::seconds(2));
  EXPECT_EQ(world.status(id), Status::reserved);
  run_only(&Stages::payment);
  EXPECT_EQ(world.status(id), Status::charged);
  EXPECT_EQ(world.gateway.count(EffectKind::charge), 0U);
  run_only(&Stages::fulfillment);
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SplitStages, ShortStockIsFoundByWhoReservesAndNotByWhoTakesIn) {
  run_only(&Stages::ingest);
  const auto answer = world.submit(OrderBuilder(1).item("PROD-1", 11).placed(world.wall));
  world.run_for(Duration::seconds(1));
  ASSERT_EQ((*answer)->outcome, PlaceOutcome::accepted);
  const OrderId id = (*answer)->order->id;
  EXPECT_EQ(world.status(id), Status::placed);
  run_only(&Stages::inventory);
  EXPECT_EQ(world.status(id), Status::rejected);
  EXPECT_EQ(world.order(id).reason, domain::Reason::insufficient_stock);
}

TEST_F(SplitStages, ACancelIsTakenInWhereNobodyCompensatesAndCompensatedByWhoRunsPayment) {
  run({.ingest = true, .inventory = true, .payment = true, .fulfillment = false});
  const OrderId id = place();
  world.run_for(Duration::seconds(2));
  ASSERT_EQ(world.status(id), Status::charged);
  run_only(&Stages::ingest);
  ASSERT_TRUE(world.cancel(id).has_value());
  world.run_for(Duration::seconds(2));
  EXPECT_EQ(world.status(id), Status::cancelling);
  run_only(&Stages::fulfillment);
  run_only(&Stages::inventory);
  EXPECT_EQ(world.status(id), Status::cancelling);
  run_only(&Stages::payment);
  EXPECT_EQ(world.status(id), Status::cancelled);
  EXPECT_EQ(world.gateway.count(EffectKind::refund), 1U);
  EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
}

TEST_F(SplitStages, AWaiterHearsOfAnEndThatAnotherProcessBroughtAbout) {
  world.options.pipeline.look_for_ends = Duration::milliseconds(50);
  run_only(&Stages::ingest);
  const OrderId waited = place();
  const OrderId other = world.place(OrderBuilder(2).item("PROD-1", 1).placed(world.wall));
  std::optional<domain::Instant> answered;
  const domain::Instant asked = world.wall;
  world.pipeline->submit(
      WaitForEnd{waited, asked + Duration::seconds(20), [&](auto) { answered = world.wall; }});
  world.run_for(Duration::seconds(1));
  EXPECT_FALSE(answered);
  const auto cancel_elsewhere = [&](const OrderId& id) {
    auto advance = steps::cancel(world.order(id), world.wall);
    std::vector<ports::Command> commands{ports::Commit{.next = std::move(advance.next),
                                                       .read = world.order(id).version,
                                                       .stock = advance.stock,
                                                       .receipt = ""}};
    ASSERT_TRUE(world.disk->store().apply(commands, world.now()).has_value());
  };
  cancel_elsewhere(other);
  world.run_for(Duration::seconds(1));
  EXPECT_FALSE(answered) << "that was another order";
  cancel_elsewhere(waited);
  const domain::Instant ended = world.wall;
  world.run_for(Duration::seconds(1));
  ASSERT_TRUE(answered);
  EXPECT_LE((*answered - ended).us, Duration::milliseconds(50).us);
}

TEST_F(SplitStages, AWaiterIsAnsweredAtItsTimeWhereTheStoreIsAway) {
  world.options.pipeline.look_for_ends = Duration::milliseconds(50);
  run_only(&Stages::ingest);
  const OrderId id = place();
  bool answered = false;
  world.pipeline->submit(
      WaitForEnd{id, world.wall + Duration::seconds(1), [&](auto) { answered = true; }});
  world.pipeline->poll(world.now());
  world.reader->away = true;
  world.run_for(Duration::milliseconds(900));
  EXPECT_FALSE(answered);
  world.run_for(Duration::milliseconds(200));
  EXPECT_TRUE(answered);
}

}  // namespace
}  // namespace penstock::pipeline::testing
