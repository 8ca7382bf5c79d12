// Stock and buckets over kills: what their rows and the records of changes say together.
#include "adapters/rocksdb/changes_log.h"

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapters/rocksdb/copy_source.h"
#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/rocks_store.h"
#include "adapters/rocksdb/store_dump.h"
#include "adapters/rocksdb/temporary_directory.h"
#include "tests/contract/order_builder.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Duration;
using domain::ErrorCode;
using domain::ProductId;
using domain::TenantId;
using domain::TokenBucket;
using ports::AcceptOutcome;
using ports::AcceptResult;
using store_contract::OrderBuilder;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

using Pieces = std::map<std::string, std::int64_t>;  ///< received, by tenant/product

constexpr domain::BucketContract kContract{
    .rate = {.micro_tokens = 1'000'000, .period_ns = 700'000'000}, .burst = 4};

/// Keeps the stock and the buckets that a dump tells.
class Told final : public DumpVisitor {
 public:
  void stock(const TenantId& tenant, const ProductId& product, const domain::Stock& told) override {
    pieces[tenant.str() + "/" + product.str()] = told.received;
  }
  void bucket(const TenantId& tenant, const DumpedBucket& told) override {
    buckets[tenant.str()] = told;
  }
  void corrupt(std::string_view family, std::string_view) override {
    corrupted.emplace_back(family);
  }

  Pieces pieces;
  std::map<std::string, DumpedBucket> buckets;
  std::vector<std::string> corrupted;
};

class ChangesLogTest : public ::testing::Test {
 protected:
  ChangesLogTest() {
    options.path = directory.path("store");
    options.boot_id = "boot";
    options.memtable_bytes = 16U << 20;
    options.default_contract.bucket = kContract;
  }

  void open() {
    store.reset();
    options.now = now;
    auto opened = RocksStore::open(options);
    if (!opened) throw std::runtime_error(opened.error().detail);
    store = std::move(*opened);
  }
  ErrorCode open_failure() {
    options.now = now;
    const auto opened = RocksStore::open(options);
    return opened ? ErrorCode{} : opened.error().code;
  }
  void pass(Duration span) {
    now.wall = now.wall + span;
    now.monotonic.ns += span.us * 1'000;
  }
  std::vector<ports::CommandResult> apply(std::vector<ports::Command> commands) {
    auto results = store->apply(commands, now);
    if (!results) throw std::runtime_error("not applied");
    return std::move(*results);
  }
  static ports::Command restock(const std::string& tenant, const std::string& product,
                                std::int64_t pieces) {
    return ports::Restock{.tenant = TenantId::unchecked(tenant),
                          .product = ProductId::unchecked(product),
                          .quantity = pieces};
  }
  ports::Command order_of(const std::string& tenant) {
    ports::Accept command;
    command.commit.next = OrderBuilder(++numbers).tenant(tenant).placed(now.wall);
    return command;
  }
  std::int64_t remaining(const std::string& tenant) {
    const auto peeked = apply({ports::PeekBucket{.tenant = TenantId::unchecked(tenant)}});
    return std::get<AcceptResult>(peeked.at(0)).take.remaining;
  }
  Told told() const {
    Told all;
    const auto done = dump(options.path, all);
    if (!done) throw std::runtime_error(done.error().detail);
    return all;
  }
  Pieces copied() const {
    const auto source = CopySource::open(options.path, CopyAccess::beside_a_server);
    if (!source) throw std::runtime_error(source.error().detail);
    Pieces pieces;
    const auto done = (*source)->stock([&](const ports::CopiedStock& row) {
      pieces[row.tenant.str() + "/" + row.product.str()] = row.stock.received;
      return true;
    });
    if (!done) throw std::runtime_error(done.error().detail);
    return pieces;
  }
  /// Calls `edit` with the database of the store, which is not open.
  template <typename Edit>
  void edit_database(Edit edit) {
    store.reset();
    auto database = Database::open(options, Access::write, nullptr);
    ASSERT_TRUE(database) << database.error().detail;
    edit(**database);
  }
  std::size_t records_of_changes() {
    std::size_t records = 0;
    edit_database([&](Database& database) {
      const std::unique_ptr<rocksdb::Iterator> all(
          database.db().NewIterator(scan_options(), database.handle(Family::changes)));
      for (all->SeekToFirst(); all->Valid(); all->Next()) ++records;
      ASSERT_TRUE(all->status().ok());
    });
    return records;
  }

  TemporaryDirectory directory;
  domain::Now now{.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z"),
                  .monotonic = {1'000'000'000'000}};
  RocksStoreOptions options;
  std::unique_ptr<RocksStore> store;
  std::uint64_t numbers = 0;
};

TEST_F(ChangesLogTest, EveryPieceOfStockComesBackAfterAKillBehindAnyBatch) {
  std::mt19937_64 random(20261123);
  Pieces expected;
  open();
  for (int batch = 1; batch <= 300; ++batch) {
    std::vector<ports::Command> commands;
    for (std::uint64_t changes = 1 + random() % 5; changes > 0; --changes) {
      const std::string tenant = "t" + std::to_string(random() % 3);
      const std::string product = "P" + std::to_string(random() % 7);
      const auto pieces = static_cast<std::int64_t>(1 + random() % 9);
      expected[tenant + "/" + product] += pieces;
      commands.push_back(restock(tenant, product, pieces));
    }
    apply(std::move(commands));
    if (random() % 13 != 0) continue;
    store.reset();
    const Told dumped = told();
    ASSERT_EQ(dumped.pieces, expected) << "batch " << batch;
    ASSERT_THAT(dumped.corrupted, IsEmpty());
    ASSERT_EQ(copied(), expected) << "batch " << batch;
    open();
    for (const auto& [name, pieces] : expected) {
      const auto row = store->reader().stock(TenantId::unchecked(name.substr(0, 2)),
                                             ProductId::unchecked(name.substr(3)));
      ASSERT_EQ(row.value().value().received, pieces) << "batch " << batch << ", " << name;
    }
  }
}

TEST_F(ChangesLogTest, ThousandsOfProductsAreEachFound) {
  constexpr int kProducts = 3'000;
  constexpr int kBatch = 500;
  open();
  for (int first = 0; first < kProducts; first += kBatch) {
    std::vector<ports::Command> commands;
    for (int i = first; i < first + kBatch; ++i) {
      commands.push_back(restock("acme", "P" + std::to_string(i), i + 1));
    }
    apply(std::move(commands));
  }
  const auto expect_all = [this] {
    for (int i = 0; i < kProducts; ++i) {
      const auto row = store->reader().stock(TenantId::unchecked("acme"),
                                             ProductId::unchecked("P" + std::to_string(i)));
      ASSERT_TRUE(row && *row) << i;
      ASSERT_EQ((*row)->received, i + 1) << i;
    }
    EXPECT_FALSE(
        store->reader().stock(TenantId::unchecked("acme"), ProductId::unchecked("P-1")).value());
  };
  expect_all();
  open();
  expect_all();
}

TEST_F(ChangesLogTest, ABucketGoesOnAfterAKillAsIfThereHadBeenNone) {
  std::mt19937_64 random(20261124);
  std::map<std::string, TokenBucket> expected;
  open();
  for (int batch = 1; batch <= 600; ++batch) {
    pass(Duration{static_cast<std::int64_t>(random() % 400'000)});
    const std::string tenant = "t" + std::to_string(random() % 3);
    TokenBucket& bucket =
        expected.try_emplace(tenant, TokenBucket(kContract, now.monotonic)).first->second;
    const bool is_allowed = bucket.take(1, now.monotonic).outcome == domain::Take::allowed;
    const auto results = apply({order_of(tenant)});
    ASSERT_EQ(std::get<AcceptResult>(results.at(0)).outcome,
              is_allowed ? AcceptOutcome::accepted : AcceptOutcome::denied)
        << "batch " << batch;
    if (random() % 13 != 0) continue;
    pass(Duration{static_cast<std::int64_t>(random() % 400'000)});
    open();
    for (auto& [name, model] : expected) {
      ASSERT_EQ(remaining(name), model.take(0, now.monotonic).remaining)
          << "batch " << batch << ", " << name;
    }
  }
}

TEST_F(ChangesLogTest, ABucketIsDumpedAsItLastWas) {
  open();
  for (int i = 0; i < 3; ++i) apply({order_of("acme")});
  store.reset();
  const Told dumped = told();
  ASSERT_THAT(dumped.buckets, SizeIs(1));
  EXPECT_EQ(dumped.buckets.at("acme").at, now.monotonic);
  TokenBucket expected(kContract, now.monotonic);
  expected.take(3, now.monotonic);
  EXPECT_EQ(dumped.buckets.at("acme").state, expected.state());
}

TEST_F(ChangesLogTest, RecordsAreKeptForSoManyChangesAsRowsTakeToBeSwept) {
  constexpr int kRows = 5;
  open();
  for (int batch = 0; batch < 500; ++batch) {
    apply({restock("acme", "P" + std::to_string(batch % kRows), 1)});
  }
  const std::size_t records = records_of_changes();
  EXPECT_GT(records, 0U);
  EXPECT_THAT(records, Le(kRows * SweepQueue::kChangesPerSweep + 1));
}

TEST_F(ChangesLogTest, AStartStoresTheRowsAndEndsTheRecords) {
  open();
  for (int batch = 0; batch < 5; ++batch) apply({restock("acme", "P", 1)});
  open();
  EXPECT_EQ(records_of_changes(), 0U);
  EXPECT_THAT(told().pieces, ElementsAre(std::pair("acme/P", 5)));
  open();
  apply({restock("acme", "P", 1)});
  EXPECT_EQ(records_of_changes(), 1U);
  EXPECT_THAT(told().pieces, ElementsAre(std::pair("acme/P", 6)));
}

TEST_F(ChangesLogTest, AStoreOfTheLayoutWithoutChangesIsReadAndMadeOneOfTodays) {
  open();
  apply({restock("acme", "P", 7)});
  edit_database([](Database& database) {
    ASSERT_TRUE(database.db().DropColumnFamily(database.handle(Family::changes)).ok());
    WriteSet writes;
    writes.put(database.handle(Family::meta), meta::kLayout, kLayoutWithoutChanges);
    ASSERT_TRUE(database.write(writes));
  });
  EXPECT_THAT(told().pieces, ElementsAre(std::pair("acme/P", 7)));
  EXPECT_EQ(copied(), (Pieces{{"acme/P", 7}}));
  open();
  apply({restock("acme", "P", 1)});
  EXPECT_EQ(records_of_changes(), 1U);
  EXPECT_THAT(told().pieces, ElementsAre(std::pair("acme/P", 8)));
  edit_database([](Database& database) {
    rocksdb::PinnableSlice value;
    ASSERT_TRUE(database.read(database.handle(Family::meta), meta::kLayout, value).value());
    EXPECT_EQ(decode<std::uint64_t>(meta::kLayout, value.ToStringView()), kLayoutVersion);
  });
}

TEST_F(ChangesLogTest, AChangeOfARowThatIsNotThereIsDamage) {
  open();
  apply({restock("acme", "P", 1)});
  apply({restock("acme", "P", 1)});
  edit_database([](Database& database) {
    WriteSet writes;
    writes.remove(database.handle(Family::stock), scoped_key("acme", "P"), Removal::any);
    ASSERT_TRUE(database.write(writes));
  });
  EXPECT_THAT(told().corrupted, ElementsAre("changes"));
  EXPECT_EQ(open_failure(), ErrorCode::store_corrupt);
}

TEST_F(ChangesLogTest, ADamagedRecordIsFoundAtTheStartAndToldByADump) {
  open();
  apply({order_of("acme")});
  apply({order_of("acme")});
  edit_database([](Database& database) {
    rocksdb::PinnableSlice value;
    const std::string key = changes_key(0);
    ASSERT_TRUE(database.read(database.handle(Family::changes), key, value).value());
    std::string changed = value.ToString();
    changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 4);
    ASSERT_TRUE(database.db().Put({}, database.handle(Family::changes), key, changed).ok());
  });
  EXPECT_THAT(told().corrupted, ElementsAre("changes"));
  EXPECT_EQ(open_failure(), ErrorCode::store_corrupt);
}

}  // namespace
}  // namespace penstock::rocksdb_store
