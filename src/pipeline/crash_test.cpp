#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "pipeline/testing/world.h"
#include "tests/contract/order_builder.h"

// The process ends at every poll boundary and before and after every commit; what was
// acknowledged ends exactly once, the gateway's ledger balances and stock is conserved.
namespace penstock::pipeline::testing {
namespace {

using domain::Duration;
using domain::EffectKind;
using domain::Status;
using store_contract::OrderBuilder;

const std::vector<std::string> kMethods{"pm_ok",   "pm_no",   "pm_down", "pm_drop",
                                        "pm_lost", "pm_late", "pm_owed"};

void script_gateway(ScriptedGateway& gateway) {
  gateway.latency = Duration::milliseconds(7);
  gateway.script("pm_no", EffectKind::charge, {{Act::refuse}, true});
  gateway.script("pm_down", EffectKind::charge, {{Act::transient}, true});
  gateway.script("pm_drop", EffectKind::charge, {{Act::lose_reply}});
  gateway.script("pm_drop", EffectKind::refund, {{Act::lose_reply}});
  gateway.script("pm_lost", EffectKind::charge, {{Act::lose_request, Act::transient}});
  gateway.script("pm_lost", EffectKind::close_charge, {{Act::lose_reply}});
  gateway.script("pm_late", EffectKind::charge, {{Act::act_late}});
  gateway.script("pm_late", EffectKind::find_charge, {{Act::lose_request}});
  gateway.script("pm_owed", EffectKind::refund, {{Act::transient, Act::refuse}});
}

class Storm {
 public:
  Storm(std::uint64_t seed, WorldOptions options) : random_(seed), world_(std::move(options)) {
    script_gateway(world_.gateway);
    world_.stock("PROD-1", 200);
    world_.stock("PROD-2", 15);
    world_.gateway.on_request = [this](const ports::GatewayRequest& request) {
      const auto stored = world_.order(request.order);
      EXPECT_FALSE(is_terminal(stored.status)) << "an effect of an order that ended";
      EXPECT_GE(stored.version.number, 2U) << "an effect before its commit";
    };
    world_.prepare = [this](RecordingStore& store) {
      store.before_apply = [this](auto) { maybe_crash(); };
      store.after_apply = [this] { maybe_crash(); };
    };
    world_.restart();
  }

  void run(int rounds) {
    stormy_ = true;
    for (int round = 0; round < rounds; ++round) {
      try {
        act();
        world_.pipeline->poll(world_.now());
      } catch (const Crash&) {
        crashes_ += 1;
        world_.restart();
      }
      if (chance(10)) world_.restart();
      world_.wall = world_.wall + Duration::milliseconds(static_cast<std::int64_t>(
                                      chance(5) ? 2'000 : random_.next() % 10));
    }
    stormy_ = false;
    world_.restart();
    world_.run_for(Duration::seconds(900));
  }

  void check() {
    EXPECT_EQ(broken_invariants(world_), std::vector<std::string>{});
    for (const auto& [id, status] : acknowledged_) {
      const auto stored = world_.disk->reader().find(id);
      ASSERT_TRUE(stored && *stored) << "an acknowledged order is stored";
    }
    for (const auto& id : cancelled_) {
      EXPECT_EQ(world_.status(id), Status::cancelled) << "an acknowledged cancel is kept";
    }
    for (const auto& stored : world_.disk->orders()) {
      const bool told = world_.receipts.copies.contains(stored.order.id);
      EXPECT_EQ(told, stored.order.status == Status::fulfilled);
      if (told) {
        EXPECT_EQ(world_.receipts.copies.at(stored.order.id), stored.receipt);
      }
    }
    for (const auto& [key, id] : keyed_) {
      EXPECT_EQ(world_.order(id).tenant.str(), "acme") << key;
    }
  }

  int crashes() const { return crashes_; }
  std::map<Status, int> ended() const {
    std::map<Status, int> result;
    for (const auto& stored : world_.disk->orders()) result[stored.order.status] += 1;
    return result;
  }

 private:
  bool chance(std::uint64_t percent) { return random_.next() % 100 < percent; }
  void maybe_crash() {
    if (stormy_ && chance(8)) throw Crash{};
  }

  void act() {
    for (std::uint64_t order = random_.next() % 3; order > 0; --order) place();
    if (!acknowledged_.empty() && chance(10)) {
      auto picked = acknowledged_.begin();
      std::advance(picked, static_cast<std::ptrdiff_t>(random_.next() % acknowledged_.size()));
      const domain::OrderId id = picked->first;
      world_.pipeline->submit(CancelOrder{id, [this, id](auto result) {
                                            if (result) cancelled_.push_back(id);
                                          }});
    }
    if (chance(5)) world_.pipeline->submit(Redrive{{}, {}, std::nullopt, [](auto) {}});
  }

  void place() {
    OrderBuilder builder(1);
    builder.item(chance(80) ? "PROD-1" : "PROD-2", 1, chance(5) ? 0 : 1'000);
    builder.payment_method(kMethods[random_.next() % kMethods.size()]);
    // A client repeats itself under its key: it is one order, over crashes too.
    const std::string key = "key-" + std::to_string(random_.next() % 100);
    ports::IdempotencyClaim claim{.key = domain::IdempotencyKey::unchecked(key), .fingerprint = {}};
    world_.pipeline->submit(
        PlaceOrder{builder.placed(world_.wall), claim, [this, key](PlaceResult result) {
                     if (!result.order) return;
                     const auto id = result.order->id;
                     const auto [known, added] = keyed_.emplace(key, id);
                     EXPECT_EQ(known->second, id) << "one key, one order";
                     acknowledged_[id] = result.order->status;
                   }});
  }

  SeededRandom random_;
  World world_;
  bool stormy_ = false;
  int crashes_ = 0;
  std::map<domain::OrderId, Status> acknowledged_;
  std::map<std::string, domain::OrderId> keyed_;
  std::vector<domain::OrderId> cancelled_;
};

TEST(Crash, EveryAcknowledgedOrderEndsExactlyOnceOverAnyNumberOfCrashes) {
  std::map<Status, int> ended;
  int crashes = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    WorldOptions options{.seed = seed, .receipts = true};
    options.fulfiller = seed % 3 == 0;
    Storm storm(seed, std::move(options));
    storm.run(250);
    storm.check();
    ASSERT_FALSE(::testing::Test::HasFailure());
    crashes += storm.crashes();
    for (const auto& [status, count] : storm.ended()) ended[status] += count;
  }
  EXPECT_GT(crashes, 2'500);
  EXPECT_GT(ended[Status::fulfilled], 1'000);
  EXPECT_GT(ended[Status::cancelled], 500);
  EXPECT_GT(ended[Status::rejected], 20);
  EXPECT_GT(ended[Status::reserved], 100) << "open dead letters";
  EXPECT_EQ(ended[Status::charged] + ended[Status::cancelling] + ended[Status::placed], 0);
}

TEST(Crash, TheSameSeedGivesTheSameHistory) {
  const auto history = [] {
    World world({.seed = 5, .receipts = true});
    script_gateway(world.gateway);
    world.stock("PROD-1", 100);
    for (const std::string& method : kMethods) {
      world.place(OrderBuilder(1).payment_method(method).placed(world.wall));
    }
    world.run_for(Duration::seconds(600));
    return world.disk->orders();
  };
  const auto first = history();
  const auto second = history();
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t index = 0; index < first.size(); ++index) {
    EXPECT_EQ(first[index].order, second[index].order);
    EXPECT_EQ(first[index].receipt, second[index].receipt);
  }
}

/// Ends the process at the n-th boundary of one order's life, for every n there is.
TEST(Crash, AtEveryBoundaryOfAnOrdersLife) {
  for (const std::string& method : kMethods) {
    for (int boundary = 0; boundary < 40; ++boundary) {
      SCOPED_TRACE(method + ", boundary " + std::to_string(boundary));
      World world({.fulfiller = true, .receipts = true});
      script_gateway(world.gateway);
      world.stock("PROD-1", 10);
      int left = boundary;
      const auto step = [&left] {
        if (left-- == 0) throw Crash{};
      };
      world.prepare = [&step](RecordingStore& store) {
        store.before_apply = [&step](auto) { step(); };
        store.after_apply = step;
      };
      world.gateway.on_request = [&step](const auto&) { step(); };
      world.restart();
      std::optional<domain::OrderId> acknowledged;
      for (int run = 0; run < 2; ++run) {
        try {
          if (run == 0) {
            world.pipeline->submit(
                PlaceOrder{OrderBuilder(1).payment_method(method).placed(world.wall), std::nullopt,
                           [&](PlaceResult result) { acknowledged = result.order.value().id; }});
          }
          world.run_for(Duration::seconds(900));
        } catch (const Crash&) {
          world.restart();
        }
      }
      world.run_for(Duration::seconds(900));
      EXPECT_EQ(broken_invariants(world), std::vector<std::string>{});
      if (acknowledged) {
        EXPECT_EQ(world.disk->orders().size(), 1U);
      }
    }
  }
}

}  // namespace
}  // namespace penstock::pipeline::testing
