#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::Reason;
using domain::Stage;
using domain::Status;
using store_contract::OrderBuilder;

domain::Order draft() {
  return OrderBuilder(1).placed(kWorldStart);
}

std::vector<Status> path_of(const domain::Order& order) {
  std::vector<Status> path;
  for (const auto& event : order.timeline) path.push_back(event.to);
  return path;
}

TEST(Placing, AnOrderGoesThroughEveryStateAndEndsFulfilled) {
  World world;
  world.stock("PROD-1", 10);
  const auto id = world.place(draft());
  EXPECT_EQ(world.status(id), Status::reserved) << "acknowledged with its reservation";
  world.settle();
  const auto stored = world.stored(id);
  EXPECT_EQ(path_of(stored.order),
            (std::vector{Status::placed, Status::reserved, Status::charged, Status::fulfilled}));
  EXPECT_EQ(stored.order.timeline[0].stage, Stage::ingest);
  EXPECT_EQ(stored.order.timeline[1].stage, Stage::inventory);
  EXPECT_EQ(stored.order.timeline[2].stage, Stage::payment);
  EXPECT_EQ(stored.order.timeline[3].stage, Stage::fulfillment);
  EXPECT_FALSE(stored.receipt.empty());
  EXPECT_EQ(world.stock_of("PROD-1").sold, 1);
  EXPECT_EQ(world.gateway.keys(EffectKind::charge), std::vector{id.str() + "/charge"});
  EXPECT_TRUE(world.pipeline->idle());
  EXPECT_TRUE(broken_invariants(world).empty());
}

TEST(Placing, AcceptAndReservationShareOneCommitAndTheRestAnother) {
  World world;
  world.stock("PROD-1", 10);
  world.store->batches.clear();
  const auto id = world.place(draft());
  EXPECT_EQ(world.store->batches, (std::vector<std::size_t>{1}));
  EXPECT_EQ(world.order(id).version.number, 2U);
  world.settle();
  ASSERT_GE(world.store->batches.size(), 2U);
  EXPECT_EQ(world.store->batches[1], 1U) << "charged, receipt and fulfilled in one";
  EXPECT_EQ(world.order(id).version.number, 4U);
}

TEST(Placing, ManyOrdersShareACommit) {
  World world;
  world.stock("PROD-1", 1'000);
  world.store->batches.clear();
  for (int order = 0; order < 100; ++order) world.submit(draft());
  world.pipeline->poll(world.now());
  EXPECT_EQ(world.store->batches, (std::vector<std::size_t>{100}));
  world.settle();
  EXPECT_EQ(world.stock_of("PROD-1").sold, 100);
}

TEST(Placing, ABatchIsBoundedAndTheRestFollows) {
  World world({.pipeline = {.max_batch = 16}});
  world.stock("PROD-1", 1'000);
  world.gateway.latency = Duration::seconds(1);
  for (int order = 0; order < 100; ++order) world.submit(draft());
  world.settle();
  EXPECT_EQ(world.gateway.requests.size(), 100U) << "all of them are answered at once";
  world.run_for(Duration::seconds(1));
  for (const std::size_t size : world.store->batches) EXPECT_LE(size, 16U);
  EXPECT_EQ(world.stock_of("PROD-1").sold, 100);
}

TEST(Placing, AChargeLeavesOnlyAfterItsReservationIsSynced) {
  World world;
  world.stock("PROD-1", 10);
  std::vector<std::string> journal;
  world.store->before_apply = [&](auto) { journal.push_back("apply"); };
  world.store->after_apply = [&] { journal.push_back("synced"); };
  world.gateway.on_request = [&](const ports::GatewayRequest& request) {
    journal.push_back("charge");
    const auto stored = world.order(request.order);
    EXPECT_EQ(stored.status, Status::reserved);
    EXPECT_EQ(stored.charge, domain::Charge::open);
  };
  bool answered_after_sync = false;
  world.pipeline->submit(PlaceOrder{draft(), std::nullopt, [&](PlaceResult) {
                                      answered_after_sync = journal.back() == "synced";
                                    }});
  world.pipeline->poll(world.now());
  EXPECT_TRUE(answered_after_sync);
  EXPECT_EQ(journal, (std::vector<std::string>{"apply", "synced", "charge"}));
}

TEST(Placing, ARejectedOrderHoldsNothingAndIsNeverCharged) {
  World world;
  world.stock("PROD-1", 10);
  const auto unknown = world.place(OrderBuilder(1).item("PROD-1", 1).item("OTHER", 1).placed({}));
  const auto short_of = world.place(OrderBuilder(1).item("PROD-1", 11).placed({}));
  world.settle();
  EXPECT_EQ(world.status(unknown), Status::rejected);
  EXPECT_EQ(world.order(unknown).reason, Reason::unknown_product);
  EXPECT_EQ(world.status(short_of), Status::rejected);
  EXPECT_EQ(world.order(short_of).reason, Reason::insufficient_stock);
  EXPECT_EQ(world.stock_of("PROD-1").reserved, 0);
  EXPECT_TRUE(world.gateway.requests.empty());
  EXPECT_EQ(world.statistics().ended[static_cast<std::size_t>(Status::rejected)], 2U);
}

TEST(Placing, ATotalOfZeroIsFulfilledWithoutACharge) {
  World world;
  world.stock("PROD-1", 10);
  const auto id = world.place(OrderBuilder(1).item("PROD-1", 2, 0).placed({}));
  world.settle();
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_TRUE(world.gateway.requests.empty());
  EXPECT_EQ(world.stock_of("PROD-1").sold, 2);
}

TEST(Placing, TheSameKeyIsTheSameOrderAndAnotherPayloadIsRefused) {
  World world;
  world.stock("PROD-1", 10);
  ports::IdempotencyClaim claim{.key = domain::IdempotencyKey::unchecked("k"), .fingerprint = {1}};
  const auto first = world.submit(draft(), claim);
  const auto second = world.submit(draft(), claim);
  claim.fingerprint = {2};
  const auto other = world.submit(draft(), claim);
  world.settle();
  EXPECT_EQ((*first)->outcome, PlaceOutcome::accepted);
  EXPECT_EQ((*second)->outcome, PlaceOutcome::replayed);
  EXPECT_EQ((*second)->order->id, (*first)->order->id);
  EXPECT_EQ((*other)->outcome, PlaceOutcome::key_reused);
  EXPECT_EQ(world.disk->orders().size(), 1U);
}

TEST(Placing, AnEmptyBucketDeniesWithAtLeastASecondOfRetryAfter) {
  World world({.disk = {.contract = {.bucket = {.rate = {.micro_tokens = 1'000'000}, .burst = 2},
                                     .guarantee = std::nullopt,
                                     .weight = 1,
                                     .webhook = std::nullopt}}});
  world.stock("PROD-1", 10);
  std::vector<PlaceOutcome> outcomes;
  for (int order = 0; order < 3; ++order) {
    const auto answer = world.submit(draft());
    world.pipeline->poll(world.now());
    outcomes.push_back((*answer)->outcome);
    EXPECT_GE((*answer)->retry_after, Duration::seconds(1));
  }
  EXPECT_EQ(outcomes, (std::vector{PlaceOutcome::accepted, PlaceOutcome::accepted,
                                   PlaceOutcome::quota_exceeded}));
  std::optional<PeekResult> peek;
  world.pipeline->submit(PeekRateLimit{domain::TenantId::unchecked("acme"),
                                       [&](auto result) { peek = result.value(); }});
  world.settle();
  EXPECT_EQ(peek->take.remaining, 0);
  const Statistics statistics = world.statistics();
  ASSERT_EQ(statistics.top_tenants.size(), 1U);
  EXPECT_EQ(statistics.top_tenants[0].accepted, 2U);
  EXPECT_EQ(statistics.top_tenants[0].denied, 1U);
}

TEST(Placing, AFullPipelineRefusesForNow) {
  World world({.disk = {.max_active = 1}});
  world.stock("PROD-1", 10);
  world.gateway.latency = Duration::seconds(1);
  world.place(draft());
  const auto answer = world.submit(draft());
  world.pipeline->poll(world.now());
  EXPECT_EQ((*answer)->outcome, PlaceOutcome::reduced_capacity);
  EXPECT_FALSE((*answer)->order);
}

TEST(Placing, ADrainingPipelineRefusesNewOrdersAndFinishesTheOthers) {
  World world;
  world.stock("PROD-1", 10);
  world.gateway.latency = Duration::milliseconds(50);
  const auto id = world.place(draft());
  world.pipeline->drain();
  EXPECT_FALSE(world.pipeline->idle());
  const auto answer = world.submit(draft());
  world.settle();
  EXPECT_EQ((*answer)->outcome, PlaceOutcome::draining);
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_TRUE(world.pipeline->idle());
  EXPECT_EQ(world.statistics().accepts[static_cast<std::size_t>(PlaceOutcome::draining)], 1U);
}

TEST(Placing, WhoeverWaitsIsAnsweredAtTheEndOrAtTheirTime) {
  World world;
  world.stock("PROD-1", 10);
  world.gateway.latency = Duration::seconds(2);
  const auto id = world.place(draft());
  std::vector<std::string> answers;
  const auto wait = [&](const char* name, const domain::OrderId& order, Duration span) {
    world.pipeline->submit(
        WaitForEnd{order, world.wall + span, [&answers, name](auto) { answers.push_back(name); }});
  };
  wait("short", id, Duration::seconds(1));
  wait("long", id, Duration::seconds(30));
  wait("nobody", domain::OrderId{}, Duration::seconds(30));
  world.settle();
  EXPECT_EQ(answers, (std::vector<std::string>{"nobody"}));
  world.run_for(Duration::milliseconds(1'500));
  EXPECT_EQ(answers, (std::vector<std::string>{"nobody", "short"}));
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(answers, (std::vector<std::string>{"nobody", "short", "long"}));
  wait("after", id, Duration::seconds(30));
  world.settle();
  EXPECT_EQ(answers.back(), "after") << "an order that ended is answered at once";
}

TEST(Placing, WhoeverWaitsIsGivenTheOrderAsItEnded) {
  World world;
  world.stock("PROD-1", 10);
  world.gateway.latency = Duration::seconds(2);
  const auto id = world.place(draft());
  std::vector<std::shared_ptr<const domain::Order>> told;
  const auto wait = [&](Duration span) {
    world.pipeline->submit(
        WaitForEnd{id, world.wall + span, [&told](auto ended) { told.push_back(ended); }});
  };
  wait(Duration::seconds(1));
  wait(Duration::seconds(30));
  wait(Duration::seconds(40));
  world.run_for(Duration::milliseconds(1'500));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0], nullptr) << "its time was over before the order ended";
  world.run_for(Duration::seconds(1));
  ASSERT_EQ(told.size(), 3U);
  const domain::Order stored = world.order(id);
  for (std::size_t waiter = 1; waiter < told.size(); ++waiter) {
    ASSERT_NE(told[waiter], nullptr);
    EXPECT_EQ(told[waiter]->status, Status::fulfilled);
    EXPECT_TRUE(*told[waiter] == stored);
  }
}

TEST(Placing, StagesThatRunElsewhereAreLeftAlone) {
  World world({.pipeline = {.stages = {.inventory = false, .payment = false}}});
  world.stock("PROD-1", 10);
  const auto id = world.place(draft());
  world.settle();
  EXPECT_EQ(world.status(id), Status::placed);
  world.options.pipeline.stages = {.ingest = false, .payment = false, .fulfillment = false};
  world.restart();
  world.settle();
  EXPECT_EQ(world.status(id), Status::reserved);
  EXPECT_TRUE(world.gateway.requests.empty());
  const auto refused = world.submit(draft());
  world.options.pipeline.stages = {.ingest = false, .inventory = false, .fulfillment = false};
  world.restart();
  world.settle();
  EXPECT_EQ(world.status(id), Status::charged) << "the receipt is another stage's";
  world.options.pipeline.stages = {};
  world.restart();
  world.settle();
  EXPECT_EQ(world.status(id), Status::fulfilled);
  EXPECT_TRUE(broken_invariants(world).empty());
}

TEST(Placing, AFreeOrderThatIsShortOfStockIsRejectedByAStageOfItsOwnToo) {
  World world({.pipeline = {.stages = {.inventory = false}}});
  const auto id = world.place(OrderBuilder(1).item("NONE", 1, 0).placed(world.wall));
  world.options.pipeline.stages = {};
  world.restart();
  world.settle();
  EXPECT_EQ(world.status(id), Status::rejected);
  EXPECT_EQ(world.order(id).timeline.size(), 2U);
}

TEST(Placing, TheTraceAndCorrelationGoOutWithTheCharge) {
  World world;
  world.stock("PROD-1", 10);
  world.log.level = ports::LogLevel::debug;
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto id = world.place(OrderBuilder(1).correlation("corr-x").traceparent(trace).placed({}));
  world.settle();
  ASSERT_EQ(world.gateway.requests.size(), 1U);
  EXPECT_EQ(world.gateway.requests[0].correlation.str(), "corr-x");
  EXPECT_EQ(world.gateway.requests[0].traceparent, trace);
  EXPECT_EQ(world.log.count("step"), 4U);
  for (const auto& line : world.log.lines) {
    EXPECT_EQ(line.fields.at("correlation_id"), "corr-x");
    EXPECT_EQ(line.fields.at("order_id"), id.str());
  }
}

TEST(Placing, StatisticsTellWhatWasDone) {
  World world;
  world.stock("PROD-1", 10);
  world.place(draft());
  world.settle();
  const Statistics statistics = world.statistics();
  EXPECT_EQ(statistics.accepts[static_cast<std::size_t>(PlaceOutcome::accepted)], 1U);
  EXPECT_EQ(statistics.ended[static_cast<std::size_t>(Status::fulfilled)], 1U);
  for (const Stage stage :
       {Stage::ingest, Stage::inventory, Stage::payment, Stage::fulfillment, Stage::notification}) {
    EXPECT_EQ(statistics.stages[static_cast<std::size_t>(stage)].completed, 1U) << to_string(stage);
  }
  EXPECT_EQ(statistics.effects[static_cast<std::size_t>(EffectKind::charge)]
                              [static_cast<std::size_t>(domain::OutcomeKind::done)],
            1U);
  EXPECT_EQ(statistics.end_to_end.count, 1U);
  EXPECT_EQ(statistics.active, 0U);
  EXPECT_GE(statistics.commits, 3U);
  EXPECT_EQ(statistics.unresolved, 0U);
}

TEST(Placing, StockAndContractsAreSetThroughThePipeline) {
  World world;
  std::vector<std::string> answers;
  const auto tenant = domain::TenantId::unchecked("acme");
  const auto product = domain::ProductId::unchecked("PROD-1");
  const auto tell = [&](std::expected<domain::Stock, Refusal> result) {
    answers.push_back(result ? std::to_string(result->on_hand()) : "refused");
  };
  world.pipeline->submit(SetStock{tenant, product, 5, tell});
  world.pipeline->submit(Restock{tenant, product, 3, tell});
  world.pipeline->submit(SetStock{tenant, product, -1, tell});
  domain::Contract contract = world.options.disk.contract;
  contract.weight = 7;
  bool stored = false;
  world.pipeline->submit(
      PutContract{tenant, contract, [&](auto result) { stored = result.has_value(); }});
  world.settle();
  EXPECT_EQ(answers, (std::vector<std::string>{"5", "8", "refused"}));
  EXPECT_TRUE(stored);
  EXPECT_EQ(world.disk->reader().contract(tenant).value().weight, 7);
}

}  // namespace
}  // namespace penstock::pipeline::testing
