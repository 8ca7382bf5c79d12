#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

// Rooms that tenants share: what one of them does must not be what another waits for.
namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::OrderId;
using domain::Status;
using store_contract::OrderBuilder;

/// A gateway whose slow cards take a minute, and places for 50 payments.
class Shares : public ::testing::Test {
 protected:
  Shares() {
    world.options.pipeline.max_payments_in_flight = 50;
    world.restart();
    world.gateway.on_request = [this](const ports::GatewayRequest& request) {
      world.gateway.latency =
          request.method == "pm_slow" ? Duration::seconds(60) : Duration::milliseconds(20);
    };
  }

  void give_contract(const std::string& tenant) {
    world.pipeline->submit(PutContract{.tenant = domain::TenantId::unchecked(tenant),
                                       .contract = world.options.disk.contract,
                                       .done = [](auto) {}});
    world.pipeline->poll(world.now());
  }

  OrderId place(const std::string& tenant, const std::string& method = "pm_ok") {
    if (world.stock_of("PROD-1", tenant).received == 0) world.stock("PROD-1", 1'000'000, tenant);
    return world.place(
        OrderBuilder(++number_).tenant(tenant).payment_method(method).placed(world.wall));
  }

  std::size_t fulfilled(const std::vector<OrderId>& orders) {
    return static_cast<std::size_t>(std::ranges::count_if(
        orders, [this](const OrderId& id) { return world.status(id) == Status::fulfilled; }));
  }

  World world;
  std::uint64_t number_ = 0;
};

TEST_F(Shares, SlowCardsOfOneTenantDoNotCostAnotherALatency) {
  give_contract("slow");
  give_contract("good");
  std::vector<OrderId> slow;
  for (int order = 0; order < 1'000; ++order) slow.push_back(place("slow", "pm_slow"));
  world.settle();
  const std::size_t held = world.gateway.count(EffectKind::charge);
  EXPECT_GE(held, 40U) << "alone it has most of the places";
  EXPECT_LT(held, 50U);
  std::vector<OrderId> good;
  for (int order = 0; order < 20; ++order) good.push_back(place("good"));
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(fulfilled(good), 20U);
  world.run_for(Duration::hours(1));
  EXPECT_EQ(fulfilled(slow), 1'000U) << "and what waited at its share is not lost";
}

TEST_F(Shares, InventedNamesWithSlowCardsDoNotHoldUpATenantWithAContract) {
  give_contract("good");
  std::vector<OrderId> hostile;
  for (int order = 0; order < 400; ++order) {
    hostile.push_back(place("name-" + std::to_string(order % 40), "pm_slow"));
  }
  world.settle();
  std::vector<OrderId> good;
  for (int order = 0; order < 20; ++order) good.push_back(place("good"));
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(fulfilled(good), 20U);
  world.run_for(Duration::hours(1));
  EXPECT_EQ(fulfilled(hostile), 400U);
}

TEST_F(Shares, PlacesComeBackWhateverTheChargesCameTo) {
  give_contract("acme");
  for (const char* method : {"pm_lost", "pm_down", "pm_refused", "pm_late"}) {
    const Act act = method == std::string("pm_lost")   ? Act::lose_request
                    : method == std::string("pm_down") ? Act::transient
                    : method == std::string("pm_late") ? Act::act_late
                                                       : Act::refuse;
    world.gateway.script(method, EffectKind::charge, {{act}});
  }
  for (int round = 0; round < 60; ++round) {
    for (const char* method : {"pm_lost", "pm_down", "pm_refused", "pm_late"}) {
      place("acme", method);
    }
    world.run_for(Duration::seconds(90));
  }
  world.run_for(Duration::hours(2));
  EXPECT_TRUE(broken_invariants(world).empty());
  const std::size_t before = world.gateway.count(EffectKind::charge);
  for (int order = 0; order < 40; ++order) place("acme", "pm_slow");
  world.settle();
  EXPECT_EQ(world.gateway.count(EffectKind::charge) - before, 40U) << "no place was lost";
}

TEST_F(Shares, ATenantAtItsShareOfDeadLettersHasItsChargesHeldBackAndNobodyElse) {
  give_contract("bad");
  give_contract("good");
  world.store->adjust_depth = [](ports::StoreDepth& depth) {
    depth.at_bound = {domain::TenantId::unchecked("bad")};
  };
  world.run_for(Duration::seconds(1));
  const OrderId bad = place("bad");
  const OrderId good = place("good");
  const OrderId nameless = place("nameless");
  world.run_for(Duration::seconds(30));
  EXPECT_EQ(world.status(bad), Status::reserved);
  EXPECT_EQ(world.status(good), Status::fulfilled);
  EXPECT_EQ(world.status(nameless), Status::fulfilled);
  EXPECT_EQ(world.statistics().tenants_held_back, 1U);
  Progress progress;
  world.pipeline->submit(AskProgress{.order = bad,
                                     .done = [&](Progress asked) { progress = asked; },
                                     .stage = domain::Stage::payment,
                                     .tenant = domain::TenantId::unchecked("bad")});
  world.pipeline->poll(world.now());
  EXPECT_TRUE(progress.at_bound);
  const auto lines_of_bad = [this] {
    return std::ranges::count_if(world.log.lines, [](const auto& line) {
      const auto code = line.fields.find("code");
      return code != line.fields.end() && code->second == "dead-letters-at-bound";
    });
  };
  EXPECT_EQ(lines_of_bad(), 1);
  world.store->adjust_depth = {};
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(world.status(bad), Status::fulfilled);
  EXPECT_EQ(world.statistics().tenants_held_back, 0U);
  EXPECT_EQ(lines_of_bad(), 2) << "and when it ends";
}

TEST_F(Shares, AtTheGroupsBoundAllWithoutAContractAreHeldBack) {
  give_contract("good");
  world.store->adjust_depth = [](ports::StoreDepth& depth) { depth.is_group_at_bound = true; };
  world.run_for(Duration::seconds(1));
  const OrderId nameless = place("nameless");
  const OrderId good = place("good");
  world.run_for(Duration::seconds(30));
  EXPECT_EQ(world.status(nameless), Status::reserved);
  EXPECT_EQ(world.status(good), Status::fulfilled);
  world.store->adjust_depth = {};
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(world.status(nameless), Status::fulfilled);
}

TEST_F(Shares, AFloodOfDeadLettersIsSampledInTheLogAndCounted) {
  world.gateway.script("pm_unknown", EffectKind::charge, {{Act::permanent}, true});
  for (int order = 0; order < 500; ++order) place("acme", "pm_unknown");
  world.run_for(Duration::seconds(30));
  const std::size_t lines = world.log.count("order dead-lettered");
  EXPECT_GE(lines, 1U);
  EXPECT_LE(lines, 200U);
  std::size_t told = lines;
  for (const auto& line : world.log.lines) {
    const auto left_out = line.fields.find("left_out");
    if (left_out != line.fields.end()) told += std::stoul(left_out->second);
  }
  EXPECT_EQ(told, world.statistics().dead_lettered) << "none is forgotten";
}

}  // namespace
}  // namespace penstock::pipeline::testing
