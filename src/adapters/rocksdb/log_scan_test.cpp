#include "adapters/rocksdb/log_scan.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "adapters/rocksdb/live_files.h"
#include "adapters/rocksdb/log_records.h"
#include "adapters/rocksdb/temporary_directory.h"

namespace penstock::rocksdb_store {
namespace {

namespace fs = std::filesystem;
using domain::ErrorCode;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::size_t kSmall = 20;
constexpr std::size_t kLargerThanTwoBlocks = 70'000;

/// A database that RocksDB wrote, one synced record a write, and what its logs became.
class LogScanTest : public ::testing::Test {
 protected:
  struct Record {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  void open() {
    rocksdb::DBOptions database;
    database.create_if_missing = true;
    database.create_missing_column_families = true;
    const std::vector<rocksdb::ColumnFamilyDescriptor> names{{"default", {}}, {"other", {}}};
    rocksdb::DB* opened = nullptr;
    const auto status = rocksdb::DB::Open(database, path, names, &families, &opened);
    if (!status.ok()) throw std::runtime_error(status.ToString());
    db.reset(opened);
  }
  void close() {
    for (auto* family : families) db->DestroyColumnFamilyHandle(family);
    families.clear();
    db.reset();
  }

  /// One record in the newest log, of about `bytes`.
  void write(std::size_t bytes) {
    std::string value(bytes, '\0');
    for (char& c : value) c = static_cast<char>(random());
    rocksdb::WriteBatch batch;
    for (auto* family : families) batch.Put(family, std::to_string(++keys), value);
    rocksdb::WriteOptions synced;
    synced.sync = true;
    const std::string log = logs().empty() ? "" : logs().back();
    const std::uint64_t begin = fs::exists(log) ? fs::file_size(log) : 0;
    ASSERT_TRUE(db->Write(synced, &batch).ok());
    records[logs().back()].push_back({.begin = begin, .end = fs::file_size(logs().back())});
  }
  /// The next write goes to a new log; the one before it still holds what `other` has not flushed.
  void begin_log() {
    ASSERT_TRUE(db->Flush({}, families[0]).ok());
    ASSERT_GE(logs().size(), 2U);
  }

  std::vector<std::string> logs() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.path().extension() == ".log") found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
  }
  static std::string bytes_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void replace(const std::string& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  }
  static std::string flipped(std::string bytes, std::uint64_t at) {
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1 << at % 8);
    return bytes;
  }

  std::expected<std::uint64_t, OpenError> check() const {
    return check_logs(*rocksdb::Env::Default(), path);
  }
  void expect_refused(const std::string& log, std::uint64_t offset) const {
    const auto checked = check();
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ErrorCode::store_corrupt);
    EXPECT_THAT(checked.error().detail,
                HasSubstr(fmt::format("offset {} of the log {} ", offset, log)));
  }
  void expect_passed() const {
    const auto checked = check();
    EXPECT_TRUE(checked) << checked.error().detail;
  }

  TemporaryDirectory directory;
  std::string path = directory.path("database");
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::map<std::string, std::vector<Record>> records;  ///< by their log
  std::mt19937_64 random{20261122};
  int keys = 0;
};

TEST_F(LogScanTest, LogsThatRocksdbWrotePass) {
  open();
  expect_passed();
  for (int i = 0; i < 40; ++i) write(random() % 30'000);
  begin_log();
  for (int i = 0; i < 40; ++i) write(random() % 30'000);
  close();
  expect_passed();
  ASSERT_THAT(live_files(*rocksdb::Env::Default(), path).value().logs, SizeIs(2));
}

// The fragments of the format meet the end of a block at every distance from it.
TEST_F(LogScanTest, RecordsThatEndAnywhereInABlockPass) {
  open();
  for (std::size_t short_of = 0; short_of < 24; ++short_of) {
    write(1'000);
    const std::uint64_t used = fs::file_size(logs().back()) % kLogBlockBytes;
    write((2 * kLogBlockBytes - used - 60 - short_of) / 2);
  }
  write(kSmall);
  close();
  expect_passed();
  const std::string log = logs().front();
  const std::string whole = bytes_of(log);
  for (const Record& record : records.at(log)) {
    if (record.end == whole.size()) continue;
    replace(log, flipped(whole, record.end - 1));
    expect_refused(log, record.begin % kLogBlockBytes > kLogBlockBytes - kFragmentHeaderBytes
                            ? (record.begin / kLogBlockBytes + 1) * kLogBlockBytes
                            : record.begin);
  }
}

TEST_F(LogScanTest, ATailTornAtAnyByteOfTheLastRecordPasses) {
  open();
  for (int i = 0; i < 5; ++i) write(kSmall);
  close();
  const std::string log = logs().front();
  const std::string whole = bytes_of(log);
  const Record last = records.at(log).back();
  ASSERT_EQ(last.end, whole.size());
  for (std::uint64_t end = last.begin; end < last.end; ++end) {
    replace(log, whole.substr(0, end));
    expect_passed();
    replace(log, flipped(whole, end));
    expect_passed();
    std::string zeroed = whole.substr(0, end);
    zeroed.resize(whole.size() + kLargerThanTwoBlocks);
    replace(log, zeroed);
    expect_passed();
  }
}

TEST_F(LogScanTest, ATornLastRecordOfManyFragmentsPasses) {
  open();
  for (int i = 0; i < 5; ++i) write(kSmall);
  write(kLargerThanTwoBlocks);
  close();
  const std::string log = logs().front();
  const std::string whole = bytes_of(log);
  const Record last = records.at(log).back();
  for (std::uint64_t at = last.begin; at < last.end; at += 1'009) {
    SCOPED_TRACE(at);
    replace(log, whole.substr(0, at));
    expect_passed();
    replace(log, flipped(whole, at));
    expect_passed();
    std::string scrambled = whole;
    for (std::uint64_t i = at; i < std::min(at + 512, last.end); ++i) {
      scrambled[i] = static_cast<char>(random());
    }
    replace(log, scrambled);
    expect_passed();
  }
}

TEST_F(LogScanTest, AFlipInAnyByteOfAnyRecordButTheLastIsRefused) {
  open();
  for (int i = 0; i < 12; ++i) write(kSmall);
  close();
  const std::string log = logs().front();
  const std::string whole = bytes_of(log);
  const std::vector<Record>& written = records.at(log);
  ASSERT_THAT(written, SizeIs(12));
  for (std::size_t i = 0; i + 1 < written.size(); ++i) {
    for (std::uint64_t at = written[i].begin; at < written[i].end; ++at) {
      SCOPED_TRACE(at);
      replace(log, flipped(whole, at));
      expect_refused(log, written[i].begin);
    }
  }
}

TEST_F(LogScanTest, AFlipInARecordOfManyFragmentsIsRefused) {
  open();
  write(kSmall);
  write(kLargerThanTwoBlocks);
  write(kSmall);
  close();
  const std::string log = logs().front();
  const std::string whole = bytes_of(log);
  const Record record = records.at(log).at(1);
  std::vector<std::uint64_t> places;
  for (std::uint64_t at = record.begin; at < record.end; at += 1'009) places.push_back(at);
  for (std::uint64_t block = kLogBlockBytes; block < record.end; block += kLogBlockBytes) {
    for (std::uint64_t at = 0; at < kFragmentHeaderBytes; ++at) places.push_back(block + at);
  }
  for (const std::uint64_t at : places) {
    SCOPED_TRACE(at);
    replace(log, flipped(whole, at));
    expect_refused(log, record.begin);
  }
}

TEST_F(LogScanTest, AHoleBeforeAnIntactRecordIsRefused) {
  open();
  for (int i = 0; i < 4; ++i) write(kSmall);
  close();
  const std::string log = logs().front();
  const Record hole = records.at(log).at(1);
  std::string bytes = bytes_of(log);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(hole.begin),
            bytes.begin() + static_cast<std::ptrdiff_t>(hole.end), '\0');
  replace(log, bytes);
  expect_refused(log, hole.begin);
}

TEST_F(LogScanTest, DamageAtTheEndOfALogWithALaterOneIsRefused) {
  open();
  for (int i = 0; i < 4; ++i) write(kSmall);
  begin_log();
  for (int i = 0; i < 4; ++i) write(kSmall);
  close();
  const std::string log = logs().front();
  const std::string whole = bytes_of(log);
  const Record last = records.at(log).back();
  for (std::uint64_t at = last.begin; at < last.end; ++at) {
    SCOPED_TRACE(at);
    replace(log, flipped(whole, at));
    expect_refused(log, last.begin);
    if (at == last.begin) continue;
    replace(log, whole.substr(0, at));
    expect_refused(log, last.begin);
  }
  // The first log is damaged from its first byte on, so that no sequence number is known.
  replace(log, flipped(whole.substr(0, records.at(log).front().end), 0));
  expect_refused(log, 0);
}

// It was begun after what is before it had been synced, whether or not all of it is there.
TEST_F(LogScanTest, DamageBeforeATornRecordOfALaterLogIsRefused) {
  open();
  for (int i = 0; i < 4; ++i) write(kSmall);
  begin_log();
  write(kLargerThanTwoBlocks);
  close();
  const std::string log = logs().front();
  replace(logs().back(), bytes_of(logs().back()).substr(0, kLogBlockBytes + 100));
  expect_passed();
  replace(log, flipped(bytes_of(log), records.at(log).back().begin));
  expect_refused(log, records.at(log).back().begin);
}

// A customer's text may hold any bytes.
TEST_F(LogScanTest, RecordsInsideATornRecordAreNotTakenForLaterOnes) {
  open();
  for (int i = 0; i < 4; ++i) write(kSmall);
  const std::string copied = bytes_of(logs().front());
  rocksdb::WriteOptions synced;
  synced.sync = true;
  ASSERT_TRUE(db->Put(synced, families[0], "copy", copied + copied).ok());
  close();
  const std::string log = logs().front();
  const std::string whole = bytes_of(log);
  replace(log, flipped(whole, copied.size()));
  expect_passed();
  replace(log, flipped(whole, copied.size() + 4));
  expect_passed();
}

TEST_F(LogScanTest, DamageBeforeAnEmptyLogPasses) {
  open();
  for (int i = 0; i < 4; ++i) write(kSmall);
  close();
  const std::string log = logs().front();
  replace(log, flipped(bytes_of(log), records.at(log).back().begin));
  replace(path + "/999999.log", "");
  expect_passed();
  replace(path + "/999999.log", std::string(100, '\0'));
  expect_passed();
}

TEST_F(LogScanTest, ALogThatIsFlushedIsNotJudged) {
  open();
  for (int i = 0; i < 4; ++i) write(kSmall);
  close();
  const std::string log = logs().front();
  const std::string torn = bytes_of(log).substr(0, records.at(log).back().begin + 3);
  replace(log, torn);
  // RocksDB cuts the tail off, and flushes what is before it.
  open();
  write(kSmall);
  close();
  ASSERT_FALSE(fs::exists(log));
  ASSERT_THAT(logs(), SizeIs(1));
  // A power cut may bring the name of a removed file back.
  replace(log, torn);
  EXPECT_EQ(live_files(*rocksdb::Env::Default(), path).value().logs,
            std::vector<std::string>{logs().back()});
  expect_passed();
  replace(log, flipped(torn, 0));
  expect_passed();
}

TEST_F(LogScanTest, ATornTailThatALaterLogGoesOnFromPasses) {
  open();
  for (int i = 0; i < 4; ++i) write(kSmall);
  close();
  const std::string log = logs().front();
  const Record last = records.at(log).back();
  const std::string whole = bytes_of(log);
  replace(log, whole.substr(0, last.begin + 3));
  const std::string before = directory.path("before");
  fs::copy(path, before, fs::copy_options::recursive);
  // A start that cut the tail off and wrote its own log, but whose manifest was lost.
  open();
  write(kSmall);
  close();
  const std::string later = bytes_of(logs().back());
  const std::string later_name = fs::path(logs().back()).filename();
  fs::remove_all(path);
  fs::rename(before, path);
  replace(path + "/" + later_name, later);
  ASSERT_THAT(live_files(*rocksdb::Env::Default(), path).value().logs, SizeIs(2));
  expect_passed();
  // It does not go on from one record earlier.
  replace(log, whole.substr(0, last.begin - 3));
  expect_refused(log, records.at(log).at(2).begin);
}

/// The file that says which logs and tables there are.
class ManifestTest : public LogScanTest {
 protected:
  ManifestTest() {
    open();
    for (int i = 0; i < 3; ++i) {
      write(kSmall);
      begin_log();
    }
    close();
    manifest = bytes_of(path + "/CURRENT");
    manifest = path + "/" + manifest.substr(0, manifest.find('\n'));
    whole = bytes_of(manifest);
    auto reader = LogReader::open(*rocksdb::Env::Default(), manifest).value();
    while (reader.next() == LogPosition::fragment) begins.push_back(reader.fragment().offset);
  }

  std::string manifest;
  std::string whole;
  std::vector<std::uint64_t> begins;  ///< of the records
};

// RocksDB ends at a length that reaches beyond the file, and at a type that it keeps for logs that
// are written over, without a word.
TEST_F(ManifestTest, AFlippedBitAnywhereIsRefused) {
  ASSERT_GE(begins.size(), 6U);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    const auto record = *std::prev(std::ranges::upper_bound(begins, at));
    const bool is_header = at - record < kFragmentHeaderBytes;
    for (int bit = 0; bit < (is_header ? 8 : 1); ++bit) {
      SCOPED_TRACE(fmt::format("bit {} of byte {}", bit, at));
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 1 << bit);
      replace(manifest, damaged);
      const auto checked = check();
      ASSERT_FALSE(checked);
      EXPECT_EQ(checked.error().code, ErrorCode::store_corrupt);
      EXPECT_THAT(checked.error().detail, HasSubstr(fmt::format("offset {} of MANIFEST", record)));
    }
  }
}

TEST_F(ManifestTest, ATailTornAtAnyByteOfTheLastRecordPasses) {
  for (std::uint64_t end = begins.back(); end < whole.size(); ++end) {
    SCOPED_TRACE(end);
    replace(manifest, whole.substr(0, end));
    expect_passed();
  }
  std::string zeroed = whole.substr(0, begins.back());
  zeroed.resize(whole.size() + kLargerThanTwoBlocks);
  replace(manifest, zeroed);
  expect_passed();
}

TEST_F(ManifestTest, ARecordWhoseLengthIsDamagedIsRefusedBeforeATornOne) {
  std::string torn = whole.substr(0, whole.size() - 1);
  constexpr std::size_t kLengthAt = 5;
  torn[begins[begins.size() - 2] + kLengthAt] = 0x10;
  replace(manifest, torn);
  const auto checked = check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::store_corrupt);
}

// As a sector that was lost: it looks like room that was never written.
TEST_F(ManifestTest, AHoleBeforeAnIntactRecordIsRefused) {
  for (std::size_t record = 0; record + 1 < begins.size(); ++record) {
    SCOPED_TRACE(record);
    std::string holed = whole;
    const auto length = begins[record + 1] - begins[record];
    replace(manifest, holed.replace(begins[record], length, length, '\0'));
    const auto checked = check();
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ErrorCode::store_corrupt);
  }
}

TEST_F(LogScanTest, ADatabaseThatCannotBeReadIsAnError) {
  fs::create_directory(path);
  replace(path + "/CURRENT", "MANIFEST-000001\n");
  const auto checked = check();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::store_failed);
}

}  // namespace
}  // namespace penstock::rocksdb_store
