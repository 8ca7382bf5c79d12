#include "adapters/rocksdb/rocks_store.h"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/faulty_file_system.h"
#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/store_dump.h"
#include "adapters/rocksdb/store_opener.h"
#include "adapters/rocksdb/temporary_directory.h"
#include "tests/contract/order_builder.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Duration;
using domain::ErrorCode;
using domain::Month;
using domain::Order;
using domain::OrderId;
using domain::Stage;
using domain::Status;
using ports::AcceptOutcome;
using ports::AcceptResult;
using ports::StoreError;
using store_contract::OrderBuilder;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace steps = store_contract::steps;

constexpr Duration kDay = Duration::hours(24);

class RocksStoreTest : public ::testing::Test {
 protected:
  RocksStoreTest() {
    options.path = directory.path("deep/store");
    options.boot_id = "boot";
    options.memtable_bytes = 16U << 20;
    options.now = now;
    options.default_contract.bucket.burst = 1'000'000;
  }

  std::expected<std::unique_ptr<RocksStore>, OpenError> try_open() {
    options.now = now;
    return StoreOpener::open(options, env.get());
  }
  RocksStore& open() {
    store.reset();
    auto opened = try_open();
    if (!opened) throw std::runtime_error(opened.error().detail);
    store = std::move(*opened);
    return *store;
  }
  ErrorCode open_failure() {
    auto opened = try_open();
    if (opened) throw std::runtime_error("the store opens");
    return opened.error().code;
  }

  std::expected<std::vector<ports::CommandResult>, StoreError> try_apply(ports::Command command) {
    std::vector<ports::Command> commands;
    commands.push_back(std::move(command));
    return store->apply(commands, now);
  }

  /// Accepts the next order as placed.
  Order accept() {
    Order placed = OrderBuilder(++numbers).placed(now.wall);
    ports::Accept command;
    command.commit.next = placed;
    const auto results = try_apply(std::move(command));
    if (!results) throw std::runtime_error("not accepted");
    EXPECT_EQ(std::get<AcceptResult>(results->at(0)).outcome, AcceptOutcome::accepted);
    return placed;
  }
  Order commit(const Order& read, domain::Advance advance) {
    ports::Commit command{.next = advance.next,
                          .read = read.version,
                          .stock = advance.stock,
                          .receipt = advance.next.status == Status::fulfilled ? "{}" : ""};
    if (!try_apply(std::move(command))) throw std::runtime_error("not committed");
    return advance.next;
  }
  /// Accepts an order that ends at once.
  Order accept_and_cancel() {
    const Order placed = accept();
    return commit(placed, steps::cancel(placed, now.wall));
  }
  void finish_batches() {
    const auto batches = store->take_terminal_batches(1'000).value();
    for (const auto& batch : batches) {
      ASSERT_TRUE(
          try_apply(ports::FinishTerminalBatch{.sequence = batch.sequence, .deliveries = {}}));
    }
  }
  void pass(Duration span) {
    now.wall = now.wall + span;
    now.monotonic.ns += span.us * 1'000;
  }

  /// Changes what is stored while no store is open: `edit` gets the database.
  template <typename Edit>
  void edit_database(Edit edit) {
    store.reset();
    auto database = Database::open(options, Access::write, nullptr);
    ASSERT_TRUE(database) << database.error().detail;
    edit(**database);
  }
  /// Flips a bit in the middle of the value under `key`.
  void damage(Family family, const std::string& key) {
    edit_database([&](Database& database) {
      rocksdb::PinnableSlice value;
      ASSERT_TRUE(database.read(database.handle(family), key, value).value());
      std::string changed = value.ToString();
      changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 4);
      ASSERT_TRUE(database.db().Put({}, database.handle(family), key, changed).ok());
    });
  }

  TemporaryDirectory directory;
  std::shared_ptr<FaultyFileSystem> files = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
  domain::Now now{.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z"),
                  .monotonic = {1'000'000'000'000}};
  RocksStoreOptions options;
  std::unique_ptr<RocksStore> store;
  std::uint64_t numbers = 0;
};

TEST_F(RocksStoreTest, ASecondProcessIsTurnedAway) {
  open();
  EXPECT_EQ(open_failure(), ErrorCode::store_locked);
}

TEST_F(RocksStoreTest, AClockFarFromTheLastStoredTimeIsRefused) {
  open();
  accept();
  store.reset();
  const domain::Now stored = now;
  now.wall = stored.wall - Duration::hours(1) - Duration{1};
  EXPECT_EQ(open_failure(), ErrorCode::clock_moved);
  now.wall = stored.wall + kDay + Duration{1};
  EXPECT_EQ(open_failure(), ErrorCode::clock_moved);
  now.wall = stored.wall - Duration::hours(1);
  EXPECT_TRUE(try_open());
  now.wall = stored.wall + kDay - Duration::hours(1);
  EXPECT_TRUE(try_open());
  now.wall = now.wall + kDay + kDay;
  options.clock_check = ClockCheck::accepted;
  EXPECT_TRUE(try_open());
}

TEST_F(RocksStoreTest, AnUnknownLayoutIsRefused) {
  open();
  accept();
  edit_database([](Database& database) {
    WriteSet writes;
    writes.put(database.handle(Family::meta), meta::kLayout, kLayoutVersion + 1);
    ASSERT_TRUE(database.write(writes));
  });
  EXPECT_EQ(open_failure(), ErrorCode::store_layout);
}

TEST_F(RocksStoreTest, ADatabaseOfSomebodyElseIsRefused) {
  open();
  accept();
  edit_database([](Database& database) {
    ASSERT_TRUE(database.db().Delete({}, database.handle(Family::meta), "layout").ok());
  });
  EXPECT_EQ(open_failure(), ErrorCode::store_layout);
}

TEST_F(RocksStoreTest, AnUnknownColumnFamilyIsRefused) {
  open();
  edit_database([](Database& database) {
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    ASSERT_TRUE(database.db().CreateColumnFamily({}, "journal", &handle).ok());
    database.db().DestroyColumnFamilyHandle(handle);
  });
  EXPECT_EQ(open_failure(), ErrorCode::store_layout);
}

TEST_F(RocksStoreTest, ADamagedActiveOrderIsFoundAtTheStart) {
  open();
  const Order order = accept();
  damage(Family::active, std::string(order.id.view()));
  EXPECT_EQ(open_failure(), ErrorCode::store_corrupt);
}

TEST_F(RocksStoreTest, ADamagedIdempotencyRecordStopsTheStoreInsteadOfBeingMisread) {
  open();
  ports::Accept command;
  command.commit.next = OrderBuilder(1).placed(now.wall);
  command.idempotency = {.key = domain::IdempotencyKey::unchecked("k"), .fingerprint = {1}};
  ASSERT_TRUE(try_apply(command));
  damage(Family::idempotency, scoped_key("acme", "k"));
  open();
  command.commit.next = OrderBuilder(2).placed(now.wall);
  const auto refused = try_apply(command);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), StoreError::corrupt);
  EXPECT_FALSE(try_apply(ports::PeekBucket{.tenant = domain::TenantId::unchecked("acme")}));
}

TEST_F(RocksStoreTest, ADamagedEndedOrderIsAnErrorToItsReaderOnly) {
  open();
  const Order order = accept_and_cancel();
  const std::string key = tagged_id_key(kOrderTag, order.id);
  edit_database([&](Database& database) {
    const MonthHandle month = database.month(order.id.month());
    ASSERT_TRUE(database.db().Put({}, month.get(), key, "nonsense").ok());
  });
  open();
  const auto found = store->reader().find(order.id);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error(), StoreError::corrupt);
  accept();
}

TEST_F(RocksStoreTest, AFailedSyncStopsTheStoreForGoodAndIsNotRetried) {
  open();
  const Order kept = accept();
  const int syncs = files->log_syncs();
  files->fail_next(LogFault::sync);
  const Order lost = OrderBuilder(++numbers).placed(now.wall);
  ports::Accept command;
  command.commit.next = lost;
  const auto failed = try_apply(command);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), StoreError::stopped);
  EXPECT_EQ(files->log_syncs(), syncs + 1);

  EXPECT_FALSE(try_apply(command));
  EXPECT_FALSE(store->claim(Stage::inventory, 10, now));
  EXPECT_FALSE(store->claim_one(kept.id));
  EXPECT_FALSE(store->mark({}));
  EXPECT_FALSE(store->settled());
  EXPECT_FALSE(store->close());
  EXPECT_FALSE(store->take_terminal_batches(1));
  EXPECT_FALSE(store->take_deliveries(1, now, {}));
  EXPECT_FALSE(store->drop_months_before({2030, 1}, now));
  EXPECT_FALSE(store->reader().find(kept.id));
  EXPECT_EQ(files->log_syncs(), syncs + 1);

  open();
  EXPECT_EQ(store->recovery().unclean_ends, 1);
  EXPECT_EQ(store->reader().find(kept.id).value()->order, kept);
  accept();
}

TEST_F(RocksStoreTest, AFullDiskStopsTheStoreAndLosesNothingAcknowledged) {
  open();
  const Order kept = accept();
  files->fail_next(LogFault::append_without_space);
  ports::Accept command;
  command.commit.next = OrderBuilder(++numbers).placed(now.wall);
  const OrderId lost = command.commit.next.id;
  const auto failed = try_apply(command);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), StoreError::full_disk);
  EXPECT_EQ(try_apply(command).error(), StoreError::full_disk);
  open();
  EXPECT_TRUE(store->reader().find(kept.id).value().has_value());
  EXPECT_FALSE(store->reader().find(lost).value().has_value());
}

// RocksDB has a thread that resumes from a full disk once there is room, which is at once here.
TEST_F(RocksStoreTest, AFullDiskIsNotResumedFromInTheBackground) {
  for (int round = 0; round < 5; ++round) {
    open();
    accept();
    files->fail_next(LogFault::append_without_space);
    ports::Accept command;
    command.commit.next = OrderBuilder(++numbers).placed(now.wall);
    const int syncs = files->log_syncs();
    ASSERT_FALSE(try_apply(command));
    env->SleepForMicroseconds(50'000);
    store.reset();
    EXPECT_EQ(files->log_syncs(), syncs);
  }
}

TEST_F(RocksStoreTest, AFailureInTheBackgroundStopsTheStoreToo) {
  auto database = Database::open(options, Access::write, env.get());
  ASSERT_TRUE(database) << database.error().detail;
  rocksdb::ColumnFamilyHandle* family = (*database)->handle(Family::listed);
  WriteSet writes;
  writes.put(family, "key", std::string("value"));
  ASSERT_TRUE((*database)->write(writes));
  EXPECT_FALSE((*database)->stopped());
  files->fail_tables();
  EXPECT_FALSE((*database)->db().Flush({}, family).ok());
  EXPECT_EQ((*database)->stopped(), StoreError::stopped);
}

TEST_F(RocksStoreTest, NothingIsLeftOfWhatWasListedOnceItIsOver) {
  open();
  ASSERT_TRUE(try_apply(ports::SetStock{.tenant = domain::TenantId::unchecked("acme"),
                                        .product = domain::ProductId::unchecked("PROD-1"),
                                        .on_hand = 5}));
  Order order = accept();
  order = commit(order, steps::next(order, now.wall));
  order = commit(order, steps::capture(order, now.wall));
  order = commit(order, steps::cancel(order, now.wall));
  ASSERT_THAT(store->reader().owed_refunds({}, 10).value().orders, SizeIs(1));
  order = commit(order, steps::refund(order, now.wall));
  ASSERT_EQ(order.status, Status::cancelled);
  edit_database([](Database& database) {
    const std::unique_ptr<rocksdb::Iterator> listed(
        database.db().NewIterator({}, database.handle(Family::listed)));
    listed->SeekToFirst();
    EXPECT_FALSE(listed->Valid());
  });
}

TEST_F(RocksStoreTest, ReadersSeeNothingOfAWriteThatFailed) {
  open();
  ASSERT_TRUE(try_apply(ports::SetStock{.tenant = domain::TenantId::unchecked("acme"),
                                        .product = domain::ProductId::unchecked("PROD-1"),
                                        .on_hand = 5}));
  files->fail_next(LogFault::append);
  EXPECT_FALSE(try_apply(ports::SetStock{.tenant = domain::TenantId::unchecked("acme"),
                                         .product = domain::ProductId::unchecked("PROD-1"),
                                         .on_hand = 9}));
  open();
  const auto stock = store->reader().stock(domain::TenantId::unchecked("acme"),
                                           domain::ProductId::unchecked("PROD-1"));
  EXPECT_EQ(stock.value()->on_hand(), 5);
}

// Orders of many batches, killed between every two of them: recovery of a recovery is the same.
TEST_F(RocksStoreTest, EveryAcknowledgedWriteSurvivesARowOfKills) {
  std::map<OrderId, Order> expected;
  for (int run = 0; run < 8; ++run) {
    open();
    for (int i = 0; i < 5; ++i) {
      const Order active = accept();
      expected[active.id] = active;
      const Order ended = accept_and_cancel();
      expected[ended.id] = ended;
    }
    EXPECT_EQ(store->recovery().unclean_ends, run == 0 ? 0 : run);
    EXPECT_EQ(store->recovery().active, static_cast<std::size_t>(run) * 5);
    for (const auto& [id, order] : expected) {
      const auto found = store->reader().find(id).value();
      ASSERT_TRUE(found);
      EXPECT_EQ(found->order, order);
    }
  }
}

TEST_F(RocksStoreTest, MonthsOlderThanTheRetentionAreDroppedWhole) {
  options.clock_check = ClockCheck::accepted;
  open();
  const Order november = accept_and_cancel();
  finish_batches();
  pass(Duration::hours(24 * 40));
  const Order january = accept_and_cancel();
  finish_batches();
  // Within the least retention nothing goes, whatever is asked for.
  EXPECT_THAT(store->drop_months_before({2030, 1}, now).value(), ElementsAre(Month{2026, 11}));
  EXPECT_FALSE(store->reader().find(november.id).value().has_value());
  EXPECT_TRUE(store->reader().find(january.id).value().has_value());
  EXPECT_THAT(store->drop_months_before({2030, 1}, now).value(), IsEmpty());
  open();
  EXPECT_FALSE(store->reader().find(november.id).value().has_value());
  EXPECT_TRUE(store->reader().find(january.id).value().has_value());
}

TEST_F(RocksStoreTest, AMonthThatAnActiveOrderNamesIsKept) {
  options.clock_check = ClockCheck::accepted;
  open();
  const Order active = accept();
  accept_and_cancel();
  finish_batches();
  pass(Duration::hours(24 * 100));
  EXPECT_THAT(store->drop_months_before({2030, 1}, now).value(), IsEmpty());
  commit(active, steps::cancel(active, now.wall));
  EXPECT_THAT(store->drop_months_before({2030, 1}, now).value(), IsEmpty()) << "an open batch";
  const auto batches = store->take_terminal_batches(10).value();
  ASSERT_THAT(batches, SizeIs(1));
  ASSERT_TRUE(try_apply(
      ports::FinishTerminalBatch{.sequence = batches[0].sequence, .deliveries = {active.id}}));
  EXPECT_THAT(store->drop_months_before({2030, 1}, now).value(), IsEmpty()) << "a delivery";
  ASSERT_TRUE(try_apply(ports::DeliveryAttempt{
      .order = active.id, .attempt = 1, .reason = domain::Reason::delivered, .next_due = {}}));
  EXPECT_THAT(store->drop_months_before({2027, 1}, now).value(), ElementsAre(Month{2026, 11}));
}

TEST_F(RocksStoreTest, AListGoesOnOverMonthsThatWereDropped) {
  options.clock_check = ClockCheck::accepted;
  open();
  accept_and_cancel();
  finish_batches();
  pass(Duration::hours(24 * 40));
  const Order kept = accept_and_cancel();
  finish_batches();
  ASSERT_THAT(store->drop_months_before({2030, 1}, now).value(), SizeIs(1));
  const auto page = store->reader().list({}).value();
  ASSERT_THAT(page.orders, SizeIs(1));
  EXPECT_EQ(page.orders[0].id, kept.id);
  EXPECT_FALSE(page.next);
}

/// Counts what a dump tells.
class Counter final : public DumpVisitor {
 public:
  void active_order(const Order& order) override { active.push_back(order); }
  void ended_order(const Order& order, std::string_view) override { ended.push_back(order); }
  void stock(const domain::TenantId&, const domain::ProductId&,
             const domain::Stock& told) override {
    stocks.push_back(told);
  }
  void idempotency(const domain::TenantId&, const domain::IdempotencyKey& key,
                   const domain::IdempotencyRecord&) override {
    keys.push_back(key.str());
  }
  void bucket(const domain::TenantId& tenant, const DumpedBucket&) override {
    buckets.push_back(tenant.str());
  }
  void contract(const domain::TenantId&, const domain::Contract&) override { ++contracts; }
  void waiting_notification(const OrderId&) override { ++notifications; }
  void waiting_delivery(const OrderId&) override { ++deliveries; }
  void dead_letter(const OrderId&) override { ++dead_letters; }
  void owed_refund(const OrderId&) override { ++owed_refunds; }
  void months_dropped(Month first_kept) override { first_kept_month = first_kept; }
  void corrupt(std::string_view family, std::string_view) override {
    corrupted.emplace_back(family);
  }

  std::vector<Order> active;
  std::vector<Order> ended;
  std::vector<domain::Stock> stocks;
  std::vector<std::string> keys;
  std::vector<std::string> buckets;
  std::vector<std::string> corrupted;
  std::optional<Month> first_kept_month;
  int contracts = 0;
  int notifications = 0;
  int deliveries = 0;
  int dead_letters = 0;
  int owed_refunds = 0;
};

TEST_F(RocksStoreTest, ADumpTellsEverythingOfAKilledStore) {
  open();
  ASSERT_TRUE(try_apply(ports::SetStock{.tenant = domain::TenantId::unchecked("acme"),
                                        .product = domain::ProductId::unchecked("PROD-1"),
                                        .on_hand = 5}));
  const Order placed = accept();
  const Order reserved = commit(placed, steps::next(placed, now.wall));
  const Order ended = accept_and_cancel();
  ASSERT_EQ(reserved.status, Status::reserved);
  store.reset();
  Counter counter;
  ASSERT_TRUE(dump(options.path, counter));
  EXPECT_THAT(counter.active, ElementsAre(reserved));
  EXPECT_THAT(counter.ended, ElementsAre(ended));
  EXPECT_THAT(counter.stocks, ElementsAre(domain::Stock{.received = 5, .reserved = 1, .sold = 0}));
  EXPECT_THAT(counter.buckets, ElementsAre("acme"));
  EXPECT_EQ(counter.notifications, 1);
  EXPECT_THAT(counter.corrupted, IsEmpty());
}

TEST_F(RocksStoreTest, ADumpGoesOnBehindADamagedRecord) {
  open();
  const Order first = accept();
  const Order second = accept();
  damage(Family::active, std::string(first.id.view()));
  Counter counter;
  ASSERT_TRUE(dump(options.path, counter));
  EXPECT_THAT(counter.active, ElementsAre(second));
  EXPECT_THAT(counter.corrupted, ElementsAre("active"));
}

TEST_F(RocksStoreTest, ADumpTellsThatHistoryWasDropped) {
  options.clock_check = ClockCheck::accepted;
  open();
  accept_and_cancel();
  finish_batches();
  store.reset();
  Counter whole;
  ASSERT_TRUE(dump(options.path, whole));
  EXPECT_EQ(whole.first_kept_month, std::nullopt);
  open();
  pass(Duration::hours(24 * 40));
  ASSERT_THAT(store->drop_months_before({2026, 12}, now).value(), SizeIs(1));
  store.reset();
  Counter counter;
  ASSERT_TRUE(dump(options.path, counter));
  EXPECT_EQ(counter.first_kept_month, (Month{2026, 12}));
  EXPECT_THAT(counter.ended, IsEmpty());
  EXPECT_THAT(counter.corrupted, IsEmpty());
}

TEST_F(RocksStoreTest, ADumpOfNothingFails) {
  Counter counter;
  EXPECT_FALSE(dump(directory.path("nothing"), counter));
}

// Every reader's answer is one that was stored, at any moment of the writing.
TEST_F(RocksStoreTest, ReadersRunBesideTheWriter) {
  open();
  const Order first = accept();
  std::atomic<bool> is_done = false;
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      ports::OrderQuery query;
      query.tenant = first.tenant;
      query.limit = 500;
      while (!is_done) {
        const auto found = store->reader().find(first.id);
        if (!found || !*found || (*found)->order.id != first.id) ++wrong;
        const auto page = store->reader().list(query);
        if (!page || page->orders.empty() || page->orders.back().id != first.id) ++wrong;
      }
    });
  }
  for (int i = 0; i < 150; ++i) accept_and_cancel();
  commit(first, steps::cancel(first, now.wall));
  is_done = true;
  readers.clear();
  EXPECT_EQ(wrong, 0);
}

// More orders than the ring of fresh records keeps: the rest is read from the database.
TEST_F(RocksStoreTest, OrdersBeyondTheFreshRecordsAreClaimedAsTheyWereStored) {
  options.fresh_records = 8;
  open();
  std::vector<Order> accepted;
  for (int i = 0; i < 50; ++i) accepted.push_back(accept());
  EXPECT_EQ(store->claim(Stage::inventory, 100, now).value(), accepted);
}

TEST_F(RocksStoreTest, WorkThatWasTimedByAClockFarAheadIsNotHeldByTheDifference) {
  open();
  pass(Duration::hours(24 * 400));
  ASSERT_TRUE(try_apply(ports::SetStock{.tenant = domain::TenantId::unchecked("acme"),
                                        .product = domain::ProductId::unchecked("PROD-1"),
                                        .on_hand = 5}));
  const Order placed = accept();
  const Order reserved = commit(placed, steps::next(placed, now.wall));
  const Order waiting = commit(reserved, steps::fail(reserved, now.wall));
  ASSERT_GT(waiting.due, now.wall);
  store.reset();
  options.clock_check = ClockCheck::accepted;
  now.wall = now.wall - Duration::hours(24 * 400);
  open();
  ASSERT_TRUE(store->next_due());
  EXPECT_EQ(*store->next_due() - now.wall, waiting.due - waiting.updated_at);
}

TEST_F(RocksStoreTest, AClockThatWasSetAheadDropsNothingUntilAPersonSaysThatItIsRight) {
  open();
  const Order old = accept_and_cancel();
  finish_batches();
  now.wall = now.wall + Duration::hours(24 * 400);  // and the monotonic clock did not move
  EXPECT_FALSE(store->agrees_with_clock(now));
  accept_and_cancel();
  finish_batches();
  EXPECT_THAT(store->drop_months_before(domain::month_of(now.wall), now).value(), IsEmpty());
  ASSERT_TRUE(store->close());
  store.reset();
  options.clock_check = ClockCheck::enforced;
  open();
  EXPECT_FALSE(store->agrees_with_clock(now)) << "what the last run showed is no evidence";
  EXPECT_THAT(store->drop_months_before(domain::month_of(now.wall), now).value(), IsEmpty());
  EXPECT_TRUE(store->reader().find(old.id).value());
  store.reset();
  options.clock_check = ClockCheck::accepted;
  open();
  EXPECT_TRUE(store->agrees_with_clock(now));
  EXPECT_THAT(store->drop_months_before(domain::month_of(now.wall), now).value(),
              ElementsAre(old.id.month()));
}

TEST_F(RocksStoreTest, ACleanCloseEndsTheRun) {
  open();
  accept();
  ASSERT_TRUE(store->close());
  EXPECT_FALSE(store->settled());
  open();
  EXPECT_EQ(store->recovery().unclean_ends, 0);
}

}  // namespace
}  // namespace penstock::rocksdb_store
