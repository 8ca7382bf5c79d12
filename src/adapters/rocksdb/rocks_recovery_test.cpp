// Starts after something went wrong in the middle: a log that was damaged, a drop that was cut off.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/metadata.h>

#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/rocks_store.h"
#include "adapters/rocksdb/state_codec.h"
#include "adapters/rocksdb/store_dump.h"
#include "adapters/rocksdb/temporary_directory.h"
#include "tests/contract/order_builder.h"

namespace penstock::rocksdb_store {
namespace {

namespace fs = std::filesystem;
using domain::Duration;
using domain::ErrorCode;
using domain::OrderId;
using store_contract::OrderBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Keeps the dead letters that a dump tells.
class DeadLetters final : public DumpVisitor {
 public:
  void active_order(const domain::Order&) override {}
  void ended_order(const domain::Order&, std::string_view) override {}
  void stock(const domain::TenantId&, const domain::ProductId&, const domain::Stock&) override {}
  void idempotency(const domain::TenantId&, const domain::IdempotencyKey&,
                   const domain::IdempotencyRecord&) override {}
  void bucket(const domain::TenantId&, const DumpedBucket&) override {}
  void contract(const domain::TenantId&, const domain::Contract&) override {}
  void waiting_notification(const OrderId&, domain::Status) override {}
  void waiting_delivery(const OrderId&, std::int32_t, domain::Instant) override {}
  void dead_letter(const OrderId& order) override { told.push_back(order); }
  void owed_refund(const OrderId&) override {}
  void history_dropped(domain::Month) override {}
  void corrupt(std::string_view, std::string_view) override {}

  std::vector<OrderId> told;
};

class RocksRecoveryTest : public ::testing::Test {
 protected:
  RocksRecoveryTest() {
    options.path = directory.path("store");
    options.boot_id = "boot";
    options.memtable_bytes = 16U << 20;
    options.clock_check = ClockCheck::accepted;
    options.now = {.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z"),
                   .monotonic = {1'000'000'000'000}};
  }

  void open() {
    store.reset();
    auto opened = RocksStore::open(options);
    if (!opened) throw std::runtime_error(opened.error().detail);
    store = std::move(*opened);
  }
  /// Accepts the next order, in a batch of its own.
  OrderId accept() {
    ports::Accept command;
    command.commit.next = OrderBuilder(++numbers).placed(options.now.wall);
    const OrderId id = command.commit.next.id;
    std::vector<ports::Command> commands;
    commands.emplace_back(std::move(command));
    if (!store->apply(commands, options.now)) throw std::runtime_error("not accepted");
    return id;
  }
  std::map<std::string, std::string> content() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(options.path)) {
      std::ifstream in(entry.path(), std::ios::binary);
      files[entry.path().filename()] = {std::istreambuf_iterator<char>(in), {}};
    }
    return files;
  }
  void expect_refused(const OpenError& error, const std::string& log) const {
    EXPECT_EQ(error.code, ErrorCode::store_corrupt);
    EXPECT_THAT(error.detail, HasSubstr("offset"));
    EXPECT_THAT(error.detail, HasSubstr(log));
  }

  TemporaryDirectory directory;
  RocksStoreOptions options;
  std::unique_ptr<RocksStore> store;
  std::uint64_t numbers = 0;
};

TEST_F(RocksRecoveryTest, AStartAndADumpRefuseADamagedLogAndChangeNothing) {
  open();
  for (int i = 0; i < 20; ++i) accept();
  store.reset();
  const auto whole = content();
  const auto log = std::ranges::find_if(
      whole, [](const auto& file) { return file.first.ends_with(".log") && !file.second.empty(); });
  ASSERT_NE(log, whole.end());
  std::string bytes = log->second;
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(options.path + "/" + log->first, std::ios::binary | std::ios::trunc) << bytes;
  const auto damaged = content();
  const auto opened = RocksStore::open(options);
  ASSERT_FALSE(opened);
  expect_refused(opened.error(), log->first);
  DeadLetters visitor;
  const auto dumped = dump(options.path, visitor);
  ASSERT_FALSE(dumped);
  expect_refused(dumped.error(), log->first);
  EXPECT_EQ(content(), damaged);
  // Nothing is lost where the byte is put right.
  std::ofstream(options.path + "/" + log->first, std::ios::binary | std::ios::trunc) << log->second;
  open();
  EXPECT_EQ(store->recovery().active, 20U);
}

// The months went, and the power with them, before the list of dead letters was cleaned.
TEST_F(RocksRecoveryTest, ADropThatWasCutOffIsFinishedByTheNextOne) {
  const OrderId dropped = OrderBuilder(900).placed(options.now.wall).id;
  options.now.wall = options.now.wall + Duration::hours(24 * 40);
  const OrderId kept = OrderBuilder(901).placed(options.now.wall).id;
  open();
  store.reset();
  {
    auto database = Database::open(options, Access::write, nullptr);
    ASSERT_TRUE(database) << database.error().detail;
    WriteSet writes;
    for (const OrderId& id : {dropped, kept}) {
      writes.put((*database)->handle(Family::listed), tagged_id_key(kDeadLetterTag, id),
                 domain::Status::cancelled);
      writes.put((*database)->handle(Family::listed), tagged_id_key(kOwedRefundTag, id),
                 domain::Status::cancelling);
    }
    ASSERT_TRUE((*database)->write(writes));
  }
  open();
  EXPECT_THAT(store->drop_months_before({2030, 1}, options.now).value(), IsEmpty());
  store.reset();
  DeadLetters listed;
  ASSERT_TRUE(dump(options.path, listed));
  EXPECT_THAT(listed.told, ElementsAre(kept));
}

// An iterator of RocksDB that steps from one table of a level onto a damaged one may end there and
// say that all is well.
TEST_F(RocksRecoveryTest, AStartAndADumpRefuseADamagedTableAmongOthersOfItsLevel) {
  open();
  std::vector<std::string> tables;
  store.reset();
  {
    auto database = Database::open(options, Access::write, nullptr);
    ASSERT_TRUE(database) << database.error().detail;
    rocksdb::DB& db = (*database)->db();
    rocksdb::ColumnFamilyHandle* family = (*database)->handle(Family::tenants);
    // Every table in a level of its own first, and beside the others by a move.
    for (const std::string tenant : {"a", "b", "c"}) {
      WriteSet writes;
      writes.put(family, tenant, options.default_contract);
      ASSERT_TRUE((*database)->write(writes));
      ASSERT_TRUE(db.Flush({}, family).ok());
      const rocksdb::Slice key(tenant);
      ASSERT_TRUE(db.CompactRange({}, family, &key, &key).ok());
    }
    std::vector<rocksdb::LiveFileMetaData> files;
    db.GetLiveFilesMetaData(&files);
    for (const auto& file : files) {
      if (file.column_family_name == "tenants") tables.push_back(file.name);
    }
  }
  ASSERT_EQ(tables.size(), 3U);
  for (const std::string& table : tables) {
    const std::string path = options.path + table;
    std::ifstream in(path, std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(in), {}};
    std::string bytes = whole;
    bytes[10] = static_cast<char>(bytes[10] ^ 1);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    const auto opened = RocksStore::open(options);
    ASSERT_FALSE(opened) << table;
    EXPECT_EQ(opened.error().code, ErrorCode::store_corrupt);
    EXPECT_THAT(opened.error().detail, HasSubstr(table));
    DeadLetters visitor;
    const auto dumped = dump(options.path, visitor);
    ASSERT_FALSE(dumped) << table;
    EXPECT_EQ(dumped.error().code, ErrorCode::store_corrupt);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole;
  }
  open();
  EXPECT_EQ(store->reader().contracts({}, 10).value().size(), 3U);
}

}  // namespace
}  // namespace penstock::rocksdb_store
