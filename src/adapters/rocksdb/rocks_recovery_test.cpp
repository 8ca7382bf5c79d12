// Starts after something went wrong in the middle: a log that was damaged, a drop that was cut off.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/metadata.h>

#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/live_files.h"
#include "adapters/rocksdb/rocks_store.h"
#include "adapters/rocksdb/state_codec.h"
#include "adapters/rocksdb/store_dump.h"
#include "adapters/rocksdb/table_checksum.h"
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
  void dead_letter(const OrderId& order) override { told.push_back(order); }

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

class DamagedTables : public RocksRecoveryTest {
 protected:
  DamagedTables() {
    open();
    store.reset();
    const auto database = Database::open(options, Access::write, nullptr).value();
    rocksdb::DB& db = database->db();
    rocksdb::ColumnFamilyHandle* family = database->handle(Family::tenants);
    // Every table in a level of its own first, and beside the others by a move.
    for (const std::string tenant : {"a", "b", "c"}) {
      WriteSet writes;
      writes.put(family, tenant, options.default_contract);
      const rocksdb::Slice key(tenant);
      if (!database->write(writes) || !db.Flush({}, family).ok() ||
          !db.CompactRange({}, family, &key, &key).ok()) {
        throw std::runtime_error("no table of " + tenant);
      }
    }
    std::vector<rocksdb::LiveFileMetaData> files;
    db.GetLiveFilesMetaData(&files);
    for (const auto& file : files) {
      if (file.column_family_name == "tenants") levels.insert(file.level);
    }
    for (const LiveTable& table : live_tables()) {
      if (table.family == "tenants") tables.push_back(table);
    }
  }
  std::vector<LiveTable> live_tables() const {
    return live_files(*rocksdb::Env::Default(), options.path).value().tables;
  }
  static void flip(const LiveTable& table, std::size_t at) {
    std::fstream file(table.path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(at));
    const auto byte = static_cast<char>(file.get() ^ 1 << at % 8);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  }
  static std::string noise_of(std::size_t size) {
    std::mt19937_64 random(20261123);
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    return noise;
  }
  /// A flip in each block of a table, whatever it is of, and in its last byte.
  static std::vector<std::size_t> places_in(std::size_t size) {
    constexpr std::size_t kPlaces = 30;
    std::vector<std::size_t> places;
    for (std::size_t place = 0; place < kPlaces; ++place) places.push_back(place * size / kPlaces);
    places.push_back(size - 1);
    return places;
  }

  std::vector<LiveTable> tables;
  std::set<int> levels;
};

TEST_F(DamagedTables, AreRefusedByAStartAndADumpWhereverTheyAreDamaged) {
  ASSERT_EQ(tables.size(), 3U);
  ASSERT_EQ(levels.size(), 1U);
  for (const auto& table : tables) {
    for (const std::size_t at : places_in(table.size)) {
      SCOPED_TRACE(::testing::Message() << "byte " << at << " of " << table.path);
      flip(table, at);
      const auto opened = RocksStore::open(options);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code, ErrorCode::store_corrupt);
      EXPECT_THAT(opened.error().detail, HasSubstr(table.path));
      DeadLetters visitor;
      const auto dumped = dump(options.path, visitor);
      ASSERT_FALSE(dumped);
      EXPECT_EQ(dumped.error().code, ErrorCode::store_corrupt);
      flip(table, at);
    }
  }
  open();
  EXPECT_EQ(store->reader().contracts({}, 10).value().size(), 3U);
}

// As a table would be that is damaged after the start, or one of a month, which no start reads.
TEST_F(DamagedTables, AreReportedByAScanThatComesToThem) {
  for (const auto& table : tables) {
    const auto database = Database::open(options, Access::read_only, nullptr).value();
    flip(table, 4);
    int found = 0;
    const std::unique_ptr<rocksdb::Iterator> all(
        database->db().NewIterator(scan_options(), database->handle(Family::tenants)));
    for (all->SeekToFirst(); all->Valid(); all->Next()) ++found;
    EXPECT_TRUE(all->status().IsCorruption()) << table.path << ": " << found << " of 3 found";
    flip(table, 4);
  }
}

TEST_F(DamagedTables, AreFoundByACheckOfTheirEndWhereTheyAreDamagedThere) {
  rocksdb::Env& env = *rocksdb::Env::Default();
  LiveTable table = tables.back();
  ASSERT_LT(table.size, kTableEndBytes);
  EXPECT_TRUE(check_table(env, table, TableCheck::end).ok());
  flip(table, table.size - 60);
  EXPECT_TRUE(check_table(env, table, TableCheck::end).IsCorruption());
}

// What an earlier version wrote, whose tables have no checksum on record.
TEST_F(DamagedTables, AreFoundByTheChecksumsOfTheirBlocksWhereThatIsAllThereIs) {
  rocksdb::Env& env = *rocksdb::Env::Default();
  LiveTable table = tables.back();
  EXPECT_TRUE(check_table(env, table, TableCheck::whole).ok());
  EXPECT_NE(table.checksum, "");
  table.checksum.clear();
  table.checksum_name = rocksdb::kUnknownFileChecksumFuncName;
  EXPECT_TRUE(check_table(env, table, TableCheck::whole).ok());
  flip(table, 4);
  EXPECT_TRUE(check_table(env, table, TableCheck::whole).IsCorruption());
}

TEST_F(DamagedTables, AreNotedAsTooShortOrTooLong) {
  for (const std::size_t size : {tables[0].size - 1, tables[0].size + 1}) {
    fs::resize_file(tables[0].path, size);
    EXPECT_TRUE(check_table(*rocksdb::Env::Default(), tables[0], TableCheck::end).IsCorruption());
  }
}

// RocksDB reads the properties of a table before their checksum, and ends the process at a count
// that cannot be. A start reads the ends of tables that it does not load as well.
TEST_F(DamagedTables, OfKeysAreRefusedForWhatRocksdbReadsFirst) {
  {
    const auto database = Database::open(options, Access::write, nullptr).value();
    rocksdb::ColumnFamilyHandle* family = database->handle(Family::idempotency);
    WriteSet writes;
    const std::string noise = noise_of(20'000);
    writes.put(family, "key", noise);
    ASSERT_TRUE(database->write(writes));
    ASSERT_TRUE(database->db().Flush({}, family).ok());
  }
  open();
  store.reset();
  int found = 0;
  for (const LiveTable& table : live_tables()) {
    if (table.family != "idempotency") continue;
    ++found;
    flip(table, 10);
    open();  // which leaves the rest of the table to who needs it
    store.reset();
    DeadLetters visitor;
    const auto dumped = dump(options.path, visitor);
    ASSERT_FALSE(dumped);
    EXPECT_THAT(dumped.error().detail, HasSubstr("not those that were written"));
    flip(table, 10);
    ASSERT_GT(table.size, 2 * kTableEndBytes);
    for (std::size_t at = table.size - kTableEndBytes; at < table.size; at += 97) {
      flip(table, at);
      const auto opened = RocksStore::open(options);
      ASSERT_FALSE(opened) << at;
      EXPECT_EQ(opened.error().code, ErrorCode::store_corrupt);
      flip(table, at);
    }
  }
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace penstock::rocksdb_store
