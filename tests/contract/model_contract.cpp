#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/contract/order_store_contract.h"

// Random commands against a tiny model that shares no code with any store: what each command must
// answer, and that stock adds up and every order is there after each step, crashes included.
namespace penstock::store_contract {
namespace {

using domain::Advance;
using domain::Charge;
using domain::Duration;
using domain::Order;
using domain::OrderId;
using domain::Reason;
using domain::Stage;
using domain::Status;
using domain::StockMove;
using ports::AcceptOutcome;
using ports::CommitOutcome;

constexpr Stage kClaimedStages[] = {Stage::inventory, Stage::payment, Stage::fulfillment};

struct ModelStock {
  std::int64_t on_hand = 0;
  std::int64_t reserved = 0;
  std::int64_t sold = 0;
};

/// What the store must hold, for one tenant.
class Model {
 public:
  /// Applies a first or later commit; returns the order as it must be stored.
  Order write(const ports::Commit& commit) {
    Order next = commit.next;
    std::map<std::string, std::int64_t> pieces;
    for (const domain::Item& item : next.items) pieces[item.product.str()] += item.quantity;
    const auto missing = move(pieces, commit.stock);
    if (missing) {
      next.status = Status::rejected;
      next.reason = *missing;
      next.timeline.back().to = Status::rejected;
      next.timeline.back().reason = *missing;
      next.holds_stock = false;
      next.charge = Charge::none;
      next.charge_since = {};
    }
    orders[next.id] = next;
    leased.erase(next.id);
    return next;
  }

  std::size_t active() const {
    return std::ranges::count_if(
        orders, [](const auto& entry) { return !is_terminal(entry.second.status); });
  }

  std::map<OrderId, Order> orders;
  std::map<std::string, ModelStock> stock;
  std::map<std::string, std::pair<std::uint8_t, OrderId>> keys;
  std::set<OrderId> leased;

 private:
  std::optional<Reason> move(const std::map<std::string, std::int64_t>& pieces, StockMove kind) {
    if (kind == StockMove::reserve) {
      for (const auto& [product, count] : pieces) {
        if (!stock.contains(product)) return Reason::unknown_product;
      }
      for (const auto& [product, count] : pieces) {
        if (stock[product].on_hand < count) return Reason::insufficient_stock;
      }
    }
    for (const auto& [product, count] : pieces) {
      if (kind == StockMove::none) break;
      ModelStock& one = stock[product];
      one.reserved += kind == StockMove::reserve ? count : -count;
      if (kind == StockMove::reserve) one.on_hand -= count;
      if (kind == StockMove::release) one.on_hand += count;
      if (kind == StockMove::sell) one.sold += count;
    }
    return std::nullopt;
  }
};

/// One step that the saga could take from here, chosen by `choice`.
Advance some_step(const Order& order, std::uint64_t choice, domain::Instant now) {
  switch (order.status) {
    case Status::placed:
      return choice % 5 == 0 ? steps::cancel(order, now) : steps::next(order, now);
    case Status::reserved:
      if (choice % 6 == 0) return steps::cancel(order, now);
      if (choice % 6 == 1) return steps::decline(order, now);
      if (choice % 6 == 2 && order.attempts < 2) return steps::fail(order, now);
      return steps::capture(order, now);
    case Status::charged:
      return choice % 4 == 0 ? steps::cancel(order, now) : steps::next(order, now);
    default:
      if (order.charge == Charge::open) return steps::close_charge(order, now);
      if (order.charge == Charge::captured) return steps::refund(order, now);
      return steps::next(order, now);
  }
}

class ModelRun {
 public:
  explicit ModelRun(std::uint64_t seed) : random_(seed) {}

  std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  template <typename Container>
  auto pick(const Container& from) {
    return *std::next(from.begin(), static_cast<std::ptrdiff_t>(draw(from.size())));
  }

  std::string product() { return "P" + std::to_string(draw(4)); }

  /// Something to do now; `builder` is used where that is a new order.
  ports::Command command(const OrderBuilder& builder, domain::Instant now) {
    const std::uint64_t kind = draw(10);
    if (kind == 0) {
      return ports::SetStock{.tenant = tenant_named(kTenant),
                             .product = product_named(product()),
                             .on_hand = static_cast<std::int64_t>(draw(12))};
    }
    if (kind == 1) {
      return ports::Restock{.tenant = tenant_named(kTenant),
                            .product = product_named(product()),
                            .quantity = static_cast<std::int64_t>(draw(9))};
    }
    if (kind < 5 || history.empty()) return accept(fill(builder).placed(now), now);
    // Mostly the present version, sometimes one that was overtaken.
    Order read = pick(model.orders).second;
    if (draw(5) == 0 || is_terminal(read.status)) read = pick(history);
    if (is_terminal(read.status)) return ports::PeekBucket{tenant_named(kTenant)};
    return OrderStoreContract::commit_of(read, some_step(read, draw(60), now));
  }

  ports::Accept accept(Order placed, domain::Instant now) {
    std::optional<std::string> key;
    if (draw(2) == 0) key = "key-" + std::to_string(draw(60));
    const auto fingerprint = static_cast<std::uint8_t>(1 + draw(8) / 7);
    if (draw(3) == 0) return OrderStoreContract::accept_of(std::move(placed), key, fingerprint);
    Advance reserved = steps::next(placed, now);
    auto accept = OrderStoreContract::accept_of(std::move(reserved.next), key, fingerprint);
    accept.commit.stock = reserved.stock;
    return accept;
  }

  OrderBuilder fill(OrderBuilder builder) {
    const std::uint64_t lines = 1 + draw(3);
    for (std::uint64_t line = 0; line < lines; ++line) {
      builder.item(product(), static_cast<std::int32_t>(1 + draw(3)));
    }
    return builder;
  }

  /// The answer to a command according to the model, which is changed by it.
  void expect(const ports::Command& command, const ports::CommandResult& result) {
    if (const auto* accept = std::get_if<ports::Accept>(&command)) {
      expect_accept(*accept, std::get<ports::AcceptResult>(result));
    } else if (const auto* commit = std::get_if<ports::Commit>(&command)) {
      expect_commit(*commit, std::get<ports::CommitResult>(result));
    } else if (const auto* set = std::get_if<ports::SetStock>(&command)) {
      model.stock[set->product.str()].on_hand = set->on_hand;
    } else if (const auto* restock = std::get_if<ports::Restock>(&command)) {
      model.stock[restock->product.str()].on_hand += restock->quantity;
    }
  }

  /// A claim's answer: orders as they are, due, in this stage, and held by nobody.
  void expect_claim(Stage stage, const std::vector<Order>& claimed, domain::Instant now) {
    for (const Order& order : claimed) {
      EXPECT_EQ(order, model.orders.at(order.id));
      EXPECT_EQ(domain::stage_of(order.status), stage);
      EXPECT_LE(order.due, now);
      EXPECT_TRUE(model.leased.insert(order.id).second) << "leased twice";
    }
  }

  Model model;
  std::vector<Order> history;  ///< every version that was ever stored, for stale commits

 private:
  void expect_accept(const ports::Accept& accept, const ports::AcceptResult& result) {
    if (accept.idempotency) {
      const std::uint8_t fingerprint = accept.idempotency->fingerprint[0];
      const auto [entry, is_new] =
          model.keys.try_emplace(accept.idempotency->key.str(), fingerprint, accept.commit.next.id);
      if (!is_new && entry->second.first != fingerprint) {
        EXPECT_EQ(result.outcome, AcceptOutcome::key_reused);
        return;
      }
      if (!is_new) {
        EXPECT_EQ(result.outcome, AcceptOutcome::replayed);
        EXPECT_EQ(result.order, model.orders.at(entry->second.second));
        return;
      }
    }
    EXPECT_EQ(result.outcome, AcceptOutcome::accepted);
    history.push_back(model.write(accept.commit));
    EXPECT_EQ(result.order, history.back());
  }

  void expect_commit(const ports::Commit& commit, const ports::CommitResult& result) {
    const Order& current = model.orders.at(commit.next.id);
    if (current.version != commit.read) {
      EXPECT_EQ(result.outcome, CommitOutcome::stale);
      EXPECT_EQ(result.current, current);
      return;
    }
    history.push_back(model.write(commit));
    const bool is_short = history.back().status != commit.next.status;
    EXPECT_EQ(result.outcome, is_short ? CommitOutcome::short_of_stock : CommitOutcome::committed);
    EXPECT_EQ(result.current, is_short ? std::optional(history.back()) : std::nullopt);
  }

  std::mt19937_64 random_;
};

void expect_stock(const Model& model, const ports::OrderReader& reader) {
  for (const auto& [product, expected] : model.stock) {
    const auto stock = reader.stock(tenant_named(kTenant), product_named(product)).value();
    ASSERT_TRUE(stock.has_value()) << product;
    EXPECT_EQ(stock->on_hand(), expected.on_hand) << product;
    EXPECT_EQ(stock->reserved, expected.reserved) << product;
    EXPECT_EQ(stock->sold, expected.sold) << product;
    EXPECT_GE(stock->on_hand(), 0);
    EXPECT_EQ(stock->received, expected.on_hand + expected.reserved + expected.sold);
  }
}

void expect_orders(const Model& model, const ports::OrderReader& reader) {
  for (const auto& [id, expected] : model.orders) {
    const auto stored = reader.find(id).value();
    ASSERT_TRUE(stored.has_value());
    ASSERT_EQ(stored->order, expected);
    EXPECT_EQ(stored->receipt, expected.status == Status::fulfilled ? kReceipt : "");
  }
}

void expect_depth(const Model& model, const ports::StoreDepth& depth) {
  EXPECT_EQ(depth.active, model.active());
  std::size_t leased = 0;
  std::size_t waiting = 0;
  for (const auto& stage : depth.stages) {
    leased += stage.leased;
    waiting += stage.ready;
  }
  EXPECT_EQ(leased, model.leased.size());
  EXPECT_EQ(leased + waiting, depth.active);
}

TEST_P(OrderStoreContract, RandomCommandsAnswerAndStoreWhatTheModelSays) {
  ModelRun run(20261122);
  Model& model = run.model;
  options.idempotency_retention = Duration::hours(1'000);
  for (int step = 0; step < 700 && !HasFailure(); ++step) {
    pass(Duration{static_cast<std::int64_t>(run.draw(3'000'000))});
    std::vector<ports::Command> commands;
    for (std::uint64_t count = run.draw(6); count > 0; --count) {
      commands.push_back(run.command(order(), now.wall));
    }
    const auto results = apply(commands);
    for (std::size_t index = 0; index < results.size(); ++index) {
      run.expect(commands[index], results[index]);
    }
    for (const Stage stage : kClaimedStages) {
      run.expect_claim(stage, claim_orders(stage, run.draw(2)), now.wall);
    }
    if (!model.leased.empty() && run.draw(4) == 0) {
      const OrderId released = run.pick(model.leased);
      store().release(released, now.wall + Duration::seconds(run.draw(3)));
      model.leased.erase(released);
    }
    if (run.draw(50) == 0) {
      if (run.draw(3) == 0) {
        close();
      } else {
        crash();
      }
      model.leased.clear();
      expect_orders(model, reader());
    }
    expect_stock(model, reader());
    expect_depth(model, store().depth());
  }

  expect_orders(model, reader());
  EXPECT_GT(model.orders.size(), 300U);
  pass(Duration::seconds(600));
  std::size_t claimed = model.leased.size();
  for (const Stage stage : kClaimedStages) claimed += claim(stage, 10'000).size();
  EXPECT_EQ(claimed, model.active()) << "an order is in no queue";
}

}  // namespace
}  // namespace penstock::store_contract
