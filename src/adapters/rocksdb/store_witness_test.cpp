// Files of a store that are lost, or old copies: each of them is known at the next start.
#include "adapters/rocksdb/store_witness.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/directory_lock.h"
#include "adapters/rocksdb/live_files.h"
#include "adapters/rocksdb/rocks_store.h"
#include "adapters/rocksdb/store_dump.h"
#include "adapters/rocksdb/temporary_directory.h"
#include "tests/contract/order_builder.h"

namespace penstock::rocksdb_store {
namespace {

namespace fs = std::filesystem;
using domain::ErrorCode;
using domain::OrderId;
using store_contract::OrderBuilder;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

enum class End : std::uint8_t { clean, killed };

class StoreWitnessTest : public ::testing::TestWithParam<End> {
 protected:
  StoreWitnessTest() {
    options.path = directory.path("store");
    options.boot_id = "boot";
    options.memtable_bytes = 16U << 20;
    options.now = {.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z"),
                   .monotonic = {1'000'000'000'000}};
  }

  std::expected<void, OpenError> open() {
    store.reset();
    auto opened = RocksStore::open(options);
    if (!opened) return std::unexpected(opened.error());
    store = std::move(*opened);
    return {};
  }
  void accept(int orders) {
    for (int i = 0; i < orders; ++i) {
      ports::Accept command;
      command.commit.next = OrderBuilder(++numbers).placed(options.now.wall);
      ids.push_back(command.commit.next.id);
      std::vector<ports::Command> commands;
      commands.emplace_back(std::move(command));
      if (!store->apply(commands, options.now)) throw std::runtime_error("not accepted");
    }
  }
  void end() {
    if (GetParam() == End::clean && !store->close()) throw std::runtime_error("not closed");
    store.reset();
  }
  /// A run with acknowledged orders, ended as the parameter says.
  void run() {
    ASSERT_TRUE(open());
    accept(20);
    end();
  }
  std::vector<fs::path> logs() const {
    const auto files = live_files(*rocksdb::Env::Default(), options.path).value();
    return {files.logs.begin(), files.logs.end()};
  }
  void expect_refused(const std::string& what) {
    const auto opened = open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::store_incomplete) << opened.error().detail;
    EXPECT_THAT(opened.error().detail, HasSubstr(what));
    EXPECT_THAT(opened.error().detail, HasSubstr("store.witness"));
    DumpVisitor visitor;
    const auto dumped = dump(options.path, visitor);
    ASSERT_FALSE(dumped);
    EXPECT_EQ(dumped.error().code, ErrorCode::store_incomplete) << dumped.error().detail;
  }
  void expect_lost(const std::string& companion) {
    const auto opened = open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::store_incomplete) << opened.error().detail;
    EXPECT_THAT(opened.error().detail, HasSubstr(companion));
  }
  void expect_whole() {
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error().detail;
    for (const OrderId& id : ids) EXPECT_TRUE(store->reader().find(id).value()) << id.str();
  }

  TemporaryDirectory directory;
  RocksStoreOptions options;
  std::unique_ptr<RocksStore> store;
  std::vector<OrderId> ids;
  std::uint64_t numbers = 0;
};

TEST_P(StoreWitnessTest, AMissingLogIsRefusedAndTheStoreIsWholeOnceItIsBack) {
  run();
  const auto lost = logs();
  ASSERT_THAT(lost, Not(IsEmpty()));
  for (const fs::path& log : lost) fs::rename(log, directory.path(log.filename()));
  expect_refused(lost.back().filename());
  for (const fs::path& log : lost) fs::rename(directory.path(log.filename()), log);
  expect_whole();
}

TEST_P(StoreWitnessTest, AnEmptiedLogIsRefused) {
  run();
  for (const fs::path& log : logs()) fs::resize_file(log, 0);
  expect_refused("bytes");
}

TEST_P(StoreWitnessTest, AManifestThatIsShorterThanItWasIsRefused) {
  run();
  const auto files = live_files(*rocksdb::Env::Default(), options.path).value();
  const fs::path manifest =
      fs::path(options.path) / ("MANIFEST-" + std::string(files.manifest < 10 ? "00000" : "0000") +
                                std::to_string(files.manifest));
  ASSERT_TRUE(fs::exists(manifest));
  ASSERT_GT(files.manifest_bytes, 200U);
  fs::resize_file(manifest, 200);
  const auto opened = open();
  ASSERT_FALSE(opened);
}

TEST_P(StoreWitnessTest, AnOlderCopyOfTheWholeStoreIsRefused) {
  run();
  fs::copy(options.path, directory.path("copy"), fs::copy_options::recursive);
  run();
  fs::remove_all(options.path);
  fs::copy(directory.path("copy"), options.path, fs::copy_options::recursive);
  expect_refused("MANIFEST-");
}

TEST_P(StoreWitnessTest, ACopyOfStoreAndWitnessOpens) {
  run();
  fs::copy(options.path, directory.path("copy"), fs::copy_options::recursive);
  fs::copy(options.path + ".witness", directory.path("copy.witness"));
  options.path = directory.path("copy");
  expect_whole();
}

TEST_P(StoreWitnessTest, AnEmptiedOrRemovedDirectoryIsRefused) {
  run();
  fs::rename(options.path, directory.path("away"));
  fs::create_directory(options.path);
  expect_refused("no store");
  fs::remove_all(options.path);
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::store_incomplete);
}

TEST_P(StoreWitnessTest, TheFilesOfAnotherStoreAreRefused) {
  run();
  const std::string first = options.path;
  options.path = directory.path("other");
  ids.clear();
  run();
  fs::copy(first + "/IDENTITY", options.path + "/IDENTITY", fs::copy_options::overwrite_existing);
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::store_incomplete);
  fs::remove(options.path + "/IDENTITY");
  EXPECT_FALSE(open());
}

TEST_P(StoreWitnessTest, EveryFileButTheLockAndTheOptionsIsMissed) {
  run();
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(options.path)) {
    names.push_back(entry.path().filename());
  }
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    fs::remove_all(directory.path("some"));
    fs::copy(options.path, directory.path("some"), fs::copy_options::recursive);
    fs::copy(options.path + ".witness", directory.path("some.witness"),
             fs::copy_options::overwrite_existing);
    fs::remove(directory.path("some") + "/" + name);
    RocksStoreOptions some = options;
    some.path = directory.path("some");
    const auto opened = RocksStore::open(some);
    const bool is_needless = name == "LOCK" || name.starts_with("OPTIONS-");
    EXPECT_EQ(opened.has_value(), is_needless);
  }
}

TEST_P(StoreWitnessTest, ACompanionThatIsLostOrShorterIsRefusedAndAloneIsToo) {
  const std::string ledger = directory.path("ledger");
  options.companions = {ledger};
  ASSERT_TRUE(open());
  accept(1);
  store.reset();
  std::ofstream(ledger) << "a charge\n";
  run();
  ASSERT_TRUE(open());
  end();
  fs::resize_file(ledger, 3);
  expect_lost(ledger);
  fs::remove(ledger);
  expect_lost(ledger);
  std::ofstream(ledger) << "a charge\nanother charge\n";
  expect_whole();
  end();
  fs::remove_all(options.path);
  fs::remove(options.path + ".witness");
  expect_lost(ledger);
  fs::remove(ledger);
  EXPECT_TRUE(open());
}

TEST_P(StoreWitnessTest, WithoutTheWitnessTheStoreOpensWithWhatItHas) {
  run();
  for (const fs::path& log : logs()) fs::remove(log);
  fs::remove(options.path + ".witness");
  ASSERT_TRUE(open());
  EXPECT_FALSE(store->reader().find(ids.back()).value());
  EXPECT_TRUE(fs::exists(options.path + ".witness"));
}

TEST_P(StoreWitnessTest, ADamagedWitnessIsRefused) {
  run();
  std::ofstream(options.path + ".witness", std::ios::app) << "log 1 1\n";
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::store_corrupt);
}

/// Logs are switched and flushed in between, so that the witness is written again and again.
TEST_P(StoreWitnessTest, AStoreThatWasFlushedOftenOpensAndMissesItsLog) {
  options.default_contract.bucket.burst = 100'000;
  options.memtable_bytes = 4U << 20;
  options.write_ahead_bytes = 1U << 20;
  ASSERT_TRUE(open());
  for (int round = 0; round < 40; ++round) {
    std::vector<ports::Command> commands;
    for (int i = 0; i < 400; ++i) {
      ports::Accept command;
      command.commit.next = OrderBuilder(++numbers).placed(options.now.wall);
      command.commit.next.metadata = {{"pad", std::string(400, 'x')}};
      ids.push_back(command.commit.next.id);
      commands.emplace_back(std::move(command));
    }
    ASSERT_TRUE(store->apply(commands, options.now));
  }
  ids.erase(ids.begin(), ids.end() - 10);
  end();
  expect_whole();
  end();
  const auto lost = logs();
  ASSERT_THAT(lost, Not(IsEmpty()));
  fs::remove(lost.back());
  expect_refused(lost.back().filename());
}

INSTANTIATE_TEST_SUITE_P(Ends, StoreWitnessTest, ::testing::Values(End::clean, End::killed),
                         [](const auto& test) {
                           return test.param == End::clean ? "Clean" : "Killed";
                         });

TEST(StoreWitness, ZeroesWithinALogAreMissedAfterACleanEnd) {
  TemporaryDirectory directory;
  RocksStoreOptions options;
  options.path = directory.path("store");
  options.now.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z");
  {
    auto store = RocksStore::open(options);
    ASSERT_TRUE(store);
    ASSERT_TRUE((*store)->close());
  }
  const auto files = live_files(*rocksdb::Env::Default(), options.path).value();
  ASSERT_THAT(files.logs, SizeIs(1));
  const auto bytes = fs::file_size(files.logs[0]);
  fs::resize_file(files.logs[0], bytes - 10);
  fs::resize_file(files.logs[0], bytes);
  const auto opened = RocksStore::open(options);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().detail, HasSubstr("the last write"));
}

TEST(StoreLock, ASecondStoreIsRefusedWhateverBecomesOfTheLockFile) {
  TemporaryDirectory directory;
  RocksStoreOptions options;
  options.path = directory.path("store");
  options.now.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z");
  const auto store = RocksStore::open(options);
  ASSERT_TRUE(store);
  fs::create_directory_symlink(options.path, directory.path("link"));
  const auto expect_locked = [&](const std::string& path) {
    SCOPED_TRACE(path);
    RocksStoreOptions second = options;
    second.path = path;
    const auto opened = RocksStore::open(second);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::store_locked) << opened.error().detail;
    DumpVisitor visitor;
    const auto dumped = dump(path, visitor);
    ASSERT_FALSE(dumped);
    EXPECT_EQ(dumped.error().code, ErrorCode::store_locked) << dumped.error().detail;
  };
  expect_locked(options.path);
  fs::remove(options.path + "/LOCK");
  expect_locked(options.path);
  std::ofstream(options.path + "/LOCK") << "";
  expect_locked(options.path);
  expect_locked(directory.path("link"));
}

TEST(StoreLock, WhatIsNoLockIsNotToldAsOne) {
  TemporaryDirectory directory;
  const auto code_of = [](const std::string& path) {
    RocksStoreOptions options;
    options.path = path;
    options.now.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z");
    const auto opened = RocksStore::open(options);
    EXPECT_FALSE(opened);
    return opened ? std::pair(ErrorCode::not_found, std::string())
                  : std::pair(opened.error().code, opened.error().detail);
  };
  std::ofstream(directory.path("file")) << "x";
  for (const auto& path : {directory.path("file"), directory.path("file") + "/store",
                           std::string("/proc/penstock-store")}) {
    const auto [code, detail] = code_of(path);
    EXPECT_EQ(code, ErrorCode::store_inaccessible) << path << ": " << detail;
    EXPECT_THAT(detail, HasSubstr("errno"));
  }
  if (::geteuid() == 0) return;  // whom no mode keeps out
  fs::create_directory(directory.path("closed"));
  fs::permissions(directory.path("closed"), fs::perms::owner_read | fs::perms::owner_exec);
  for (const auto& path : {directory.path("closed"), directory.path("closed") + "/store"}) {
    const auto [code, detail] = code_of(path);
    EXPECT_EQ(code, ErrorCode::store_inaccessible) << path << ": " << detail;
    EXPECT_THAT(detail, HasSubstr("Permission denied"));
  }
}

TEST(StoreLock, TheMessagesOfRocksDbAreNamedByTheirErrno) {
  EXPECT_EQ(access_error("IO error: While open a file: /d/1.log: Too many open files").code,
            ErrorCode::store_inaccessible);
  EXPECT_EQ(access_error("IO error: /d/LOCK: Permission denied").code,
            ErrorCode::store_inaccessible);
  EXPECT_EQ(access_error("IO error: /d/LOCK: Read-only file system").code,
            ErrorCode::store_inaccessible);
  EXPECT_EQ(access_error("IO error: /d/1.log: Input/output error").code, ErrorCode::store_failed);
}

}  // namespace
}  // namespace penstock::rocksdb_store
