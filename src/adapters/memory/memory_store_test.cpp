#include "adapters/memory/memory_store.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/contract/order_builder.h"

// What only the in-memory store can show; the rest is in the contract suite.
namespace penstock::memory_store {
namespace {

using domain::Order;
using ports::StoreError;
using store_contract::OrderBuilder;

class MemoryStoreTest : public ::testing::Test {
 protected:
  void open() {
    store_.reset();
    store_ =
        std::make_unique<MemoryStore>(disk_, MemoryStoreOptions{.boot_id = "boot", .now = now_});
  }

  std::expected<std::vector<ports::CommandResult>, StoreError> accept(const Order& order) {
    ports::Accept accept;
    accept.commit.next = order;
    std::vector<ports::Command> commands;
    commands.emplace_back(std::move(accept));
    return store_->apply(commands, now_);
  }

  bool is_stored(const Order& order) { return store_->find(order.id).value().has_value(); }

  domain::Now now_{.wall = {1'800'000'000'000'000}, .monotonic = {1'000'000'000}};
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
  std::unique_ptr<MemoryStore> store_;
};

TEST_F(MemoryStoreTest, AWriteThatLandedBeforeItsSyncFailedIsThereAfterTheRestart) {
  open();
  const Order order = OrderBuilder(1).placed(now_.wall);
  disk_->next_fault = SyncFault{.error = StoreError::full_disk, .write = FailingWrite::landed};
  EXPECT_EQ(accept(order).error(), StoreError::full_disk);
  EXPECT_EQ(accept(OrderBuilder(2).placed(now_.wall)).error(), StoreError::full_disk);
  EXPECT_EQ(store_->find(order.id).error(), StoreError::full_disk);
  open();
  EXPECT_TRUE(is_stored(order));
  EXPECT_EQ(store_->recovery().unclean_ends, 1);
}

TEST_F(MemoryStoreTest, AWriteThatWasLostIsNotThereAfterTheRestart) {
  open();
  const Order order = OrderBuilder(1).placed(now_.wall);
  disk_->next_fault = SyncFault{};
  EXPECT_EQ(accept(order).error(), StoreError::stopped);
  open();
  EXPECT_FALSE(is_stored(order));
}

TEST_F(MemoryStoreTest, AStoreThatFailedDoesNotEndCleanly) {
  open();
  disk_->next_fault = SyncFault{};
  EXPECT_FALSE(store_->settled().has_value());
  store_->close();
  open();
  EXPECT_EQ(store_->recovery().unclean_ends, 1);
}

TEST_F(MemoryStoreTest, NothingSucceedsAfterAFailure) {
  open();
  disk_->next_fault = SyncFault{};
  EXPECT_FALSE(store_->mark({}).has_value());
  EXPECT_FALSE(store_->claim(domain::Stage::payment, 1, now_).has_value());
  EXPECT_FALSE(store_->claim_one({}).has_value());
  EXPECT_FALSE(store_->take_terminal_batches(1).has_value());
  EXPECT_FALSE(store_->take_deliveries(1, now_, {}).has_value());
  EXPECT_FALSE(store_->settled().has_value());
  EXPECT_FALSE(store_->list({}).has_value());
  EXPECT_FALSE(store_->dead_letters({}).has_value());
  EXPECT_FALSE(store_->owed_refunds({}, 1).has_value());
  EXPECT_FALSE(store_->stock({}, {}).has_value());
  EXPECT_FALSE(store_->contract({}).has_value());
  EXPECT_FALSE(store_->contracts({}, 1).has_value());
}

TEST_F(MemoryStoreTest, ExpiredKeysAreRemoved) {
  open();
  ports::Accept accept;
  accept.commit.next = OrderBuilder(1).placed(now_.wall);
  accept.idempotency =
      ports::IdempotencyClaim{.key = domain::IdempotencyKey::unchecked("key"), .fingerprint = {}};
  std::vector<ports::Command> commands;
  commands.emplace_back(std::move(accept));
  ASSERT_TRUE(store_->apply(commands, now_).has_value());
  EXPECT_EQ(disk_->idempotency.size(), 1U);
  now_.wall = now_.wall + domain::limits::kIdempotencyRetention;
  ASSERT_TRUE(store_->apply({}, now_).has_value());
  EXPECT_TRUE(disk_->idempotency.empty());
  EXPECT_TRUE(disk_->expiries.empty());
}

TEST_F(MemoryStoreTest, ALongListOfOthersGivesShortPagesThatGoOn) {
  open();
  constexpr int kOthers = 25'000;
  const Order oldest = OrderBuilder(1).placed(now_.wall);
  ASSERT_TRUE(accept(oldest).has_value());
  std::vector<ports::Command> commands;
  for (int number = 0; number < kOthers; ++number) {
    ports::Accept other;
    other.commit.next =
        OrderBuilder(2 + number).tenant("tenant-" + std::to_string(number % 100)).placed(now_.wall);
    commands.emplace_back(std::move(other));
    if (commands.size() == domain::limits::kMaxBatch || number + 1 == kOthers) {
      ASSERT_TRUE(store_->apply(commands, now_).has_value());
      commands.clear();
    }
  }
  ports::OrderQuery query;
  query.tenant = oldest.tenant;
  std::vector<Order> found;
  int pages = 0;
  for (bool is_last = false; !is_last; ++pages) {
    const auto page = store_->list(query).value();
    found.insert(found.end(), page.orders.begin(), page.orders.end());
    query.before = page.next;
    is_last = !page.next;
  }
  EXPECT_EQ(found, std::vector{oldest});
  EXPECT_GT(pages, 1);
}

TEST_F(MemoryStoreTest, AnIllegalTransitionStopsTheProcess) {
  open();
  const Order order = OrderBuilder(1).placed(now_.wall);
  ASSERT_TRUE(accept(order).has_value());
  ports::Commit commit{.next = order, .read = order.version, .receipt = "receipt"};
  commit.next.status = domain::Status::fulfilled;
  commit.next.version = {2};
  commit.next.timeline.push_back({.version = {2},
                                  .at = now_.wall,
                                  .from = domain::Status::placed,
                                  .to = domain::Status::fulfilled});
  std::vector<ports::Command> commands;
  commands.emplace_back(std::move(commit));
  EXPECT_DEATH({ (void)store_->apply(commands, now_); }, "the automaton allows the transition");
}

}  // namespace
}  // namespace penstock::memory_store
