// The store on a disk whose power is cut after any of its steps: what was not synced is lost, torn
// or scrambled, new names are lost. What is recovered is what the store held after some batch, and
// holds every batch that was acknowledged (semantics 6.22, 6.23).
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/rocksdb/log_records.h"
#include "adapters/rocksdb/store_opener.h"
#include "tests/torture/recorded_disk.h"
#include "tests/torture/store_journal.h"

namespace penstock::torture {
namespace {

using rocksdb_store::StoreOpener;

constexpr LostData kLostData[] = {LostData::none, LostData::all, LostData::torn, LostData::holes,
                                  LostData::scrambled};
constexpr LostNames kLostNames[] = {LostNames::none, LostNames::all, LostNames::from_some_on};

/// A number from the environment, so that `make torture` runs longer than a test.
std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t seeds() {
  return setting("PENSTOCK_POWER_CUT_SEEDS", 1);
}
std::uint64_t first_seed() {
  return setting("PENSTOCK_POWER_CUT_SEED", 20261122);
}
std::uint64_t cuts_of_a_seed() {
  return setting("PENSTOCK_POWER_CUTS", 40);
}

std::string describe(const CutOptions& options, std::uint64_t journal_seed) {
  return fmt::format("journal {}, cut after step {}, data {}, names {}, seed {}", journal_seed,
                     options.steps, static_cast<int>(options.data), static_cast<int>(options.names),
                     options.seed);
}

/// A start of the store that ends at once, uncleanly. The error is why it does not open.
std::optional<std::string> start_once(const rocksdb_store::RocksStoreOptions& options,
                                      RecordedDisk& disk) {
  const auto opened = StoreOpener::open(options, disk.env());
  if (opened) return std::nullopt;
  return opened.error().detail;
}

class PowerCut : public ::testing::Test {
 protected:
  /// The state that a start finds on a disk that lost `lost`. A record of RocksDB's manifest that
  /// stands where it should but holds other bytes cannot be told from damage: that start is
  /// refused, and counted.
  std::optional<StoredState> recover(RecordedDisk& disk, LostData lost) {
    if (const auto failed = start_once(journal.options, disk)) {
      const bool is_overwritten = lost == LostData::holes || lost == LostData::scrambled;
      const bool is_manifest = failed->find("MANIFEST") != std::string::npos;
      if (is_overwritten && is_manifest) {
        ++refused;
      } else {
        ADD_FAILURE() << "the store does not open: " << *failed;
      }
      return std::nullopt;
    }
    ++recovered;
    return read(disk);
  }

  std::optional<StoredState> read(RecordedDisk& disk) {
    auto read = read_store(journal.options.path, disk.env());
    if (!read) {
      ADD_FAILURE() << "the store cannot be read: " << read.error();
      return std::nullopt;
    }
    EXPECT_TRUE(read->corrupt.empty()) << read->corrupt.front();
    EXPECT_TRUE(read->audit.clean())
        << read->audit.findings.front().subject << ": " << read->audit.findings.front().detail;
    return std::move(read->state);
  }

  /// Which batch `state` is the state after; nothing if it is none. Of equal ones, the last.
  std::optional<std::size_t> batch_of(const StoredState& state) const {
    for (std::size_t batch = journal.marks.size(); batch-- > 0;) {
      if (journal.marks[batch].state == state) return batch;
    }
    return std::nullopt;
  }

  /// A cut of the journal, a recovery of it, and a recovery of that.
  void expect_prefix_after(const CutOptions& options) {
    RecordedDisk disk(cut(journal.history, options));
    const auto first = recover(disk, options.data);
    if (!first) return;
    const auto batch = batch_of(*first);
    ASSERT_TRUE(batch) << "no batch led to this state: " << ::testing::PrintToString(*first);
    std::size_t acknowledged = 0;
    while (acknowledged + 1 < journal.marks.size() &&
           journal.marks[acknowledged + 1].returned <= options.steps) {
      ++acknowledged;
    }
    EXPECT_GE(*batch, acknowledged) << "an acknowledged batch is lost";
    EXPECT_TRUE(*batch == 0 || journal.marks[*batch].begun < options.steps)
        << "a batch that had not begun is there";
    in_flight_landed += *batch > acknowledged ? 1 : 0;
    const auto second = recover(disk, LostData::none);
    EXPECT_EQ(second, first) << "recovery of a recovery is another";
  }

  /// The same, with the power cut again at some step of the recovery.
  void expect_same_after_a_cut_recovery(const CutOptions& options, std::mt19937_64& random) {
    const DiskContent found = cut(journal.history, options);
    RecordedDisk whole(found);
    const auto expected = recover(whole, options.data);
    if (!expected) return;
    CutOptions again{.steps = random() % (whole.steps() + 1),
                     .data = kLostData[random() % std::size(kLostData)],
                     .names = kLostNames[random() % std::size(kLostNames)],
                     .seed = random()};
    SCOPED_TRACE(describe(again, 0));
    RecordedDisk halfway(cut(whole.history(), again, found));
    const auto found_again = recover(halfway, again.data);
    if (!found_again) return;
    EXPECT_EQ(found_again, expected) << "a recovery that was cut off left another state";
  }

  CutOptions random_cut(std::mt19937_64& random) const {
    return {.steps = random() % (journal.history.size() + 1),
            .data = kLostData[random() % std::size(kLostData)],
            .names = kLostNames[random() % std::size(kLostNames)],
            .seed = random()};
  }

  /// What was written before a step, synced or not.
  DiskContent content_before(std::size_t step) const {
    return cut(journal.history, {.steps = step, .data = LostData::none, .names = LostNames::none});
  }

  void TearDown() override {
    fmt::print("{} cuts recovered, {} refused for their manifest, {} with the batch in flight\n",
               recovered, refused, in_flight_landed);
  }

  Journal journal;
  int recovered = 0;
  int refused = 0;
  int in_flight_landed = 0;
};

TEST_F(PowerCut, AnyCutLeavesAPrefixWithEveryAcknowledgedBatch) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds(); ++seed) {
    journal = record({.seed = seed, .batches = 60});
    std::mt19937_64 random(seed);
    for (std::uint64_t i = 0; i < cuts_of_a_seed() && !HasFailure(); ++i) {
      const CutOptions options = random_cut(random);
      SCOPED_TRACE(describe(options, seed));
      expect_prefix_after(options);
    }
  }
}

TEST_F(PowerCut, EveryStepOfAShortRunCanBeTheLast) {
  journal = record({.seed = first_seed(), .batches = 6});
  const std::uint64_t stride = setting("PENSTOCK_POWER_CUT_STRIDE", 61);
  for (std::size_t step = 0; step <= journal.history.size() && !HasFailure(); step += stride) {
    for (const LostData data : kLostData) {
      for (const LostNames names : kLostNames) {
        const CutOptions options{.steps = step, .data = data, .names = names, .seed = step};
        SCOPED_TRACE(describe(options, first_seed()));
        expect_prefix_after(options);
      }
    }
  }
}

TEST_F(PowerCut, ARecoveryThatIsCutOffLosesNothing) {
  journal = record({.seed = first_seed() + 7, .batches = 60});
  std::mt19937_64 random(first_seed());
  for (std::uint64_t i = 0; i < cuts_of_a_seed() / 2 && !HasFailure(); ++i) {
    const CutOptions options = random_cut(random);
    SCOPED_TRACE(describe(options, first_seed() + 7));
    expect_same_after_a_cut_recovery(options, random);
  }
}

struct Flips {
  int reported = 0;
  int unchanged = 0;
  int cut_last = 0;
};

// What is damaged is reported. The last record of the newest log alone looks like a torn write when
// it is damaged, and is cut off; no flip anywhere makes a state that never was.
class FlippedByte : public PowerCut {
 protected:
  void record_run(std::uint64_t seed) {
    journal = record({.seed = seed, .batches = 60});
    before_last = content_before(journal.marks.back().begun);
    paths.clear();
    for (const auto& [path, bytes] : journal.content) {
      if (!bytes.empty()) paths.push_back(path);
    }
  }

  void expect_no_misreading(std::mt19937_64& random) {
    DiskContent content = journal.content;
    const std::string& path = paths[random() % paths.size()];
    std::string& bytes = content[path];
    const std::size_t at = random() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    SCOPED_TRACE(fmt::format("byte {} of {} in {}", at, bytes.size(), path));
    RecordedDisk disk(content);
    if (start_once(journal.options, disk)) {
      ++flips.reported;
      return;
    }
    const auto found = read_store(journal.options.path, disk.env());
    if (!found || !found->corrupt.empty()) {
      ++flips.reported;
      return;
    }
    const std::size_t last = journal.marks.size() - 1;
    const auto batch = batch_of(found->state);
    ASSERT_TRUE(batch) << "misread: " << ::testing::PrintToString(found->state);
    if (*batch == last) {
      ++flips.unchanged;
      return;
    }
    ++flips.cut_last;
    const auto log = before_last.find(path);
    EXPECT_TRUE(path.ends_with(".log")) << "only batch " << *batch << " of " << last;
    EXPECT_TRUE(log == before_last.end() || at >= log->second.size()) << "not the last record";
    EXPECT_EQ(*batch + 1, last) << "more than the last record is gone";
  }

  DiskContent before_last;
  std::vector<std::string> paths;
  Flips flips;
};

TEST_F(FlippedByte, IsReportedOrChangesNothingOrCutsTheLastRecord) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds() && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    record_run(seed + 3);
    std::mt19937_64 random(seed);
    for (std::uint64_t i = 0; i < 2 * cuts_of_a_seed() && !HasFailure(); ++i) {
      expect_no_misreading(random);
    }
  }
  fmt::print("{} flips: {} reported, {} changed nothing, {} cut the last record\n",
             flips.reported + flips.unchanged + flips.cut_last, flips.reported, flips.unchanged,
             flips.cut_last);
  EXPECT_GE(flips.reported, 1);
}

// RocksDB takes a length that reaches beyond the file, and a type that only logs have which are
// written over, for the end of its manifest: bits of few records, which chance seldom finds.
TEST_F(FlippedByte, IsReportedWhereItEndsTheManifest) {
  record_run(first_seed() + 5);
  std::string manifest = journal.content.at(journal.options.path + "/CURRENT");
  manifest = journal.options.path + "/" + manifest.substr(0, manifest.find('\n'));
  RecordedDisk whole(journal.content);
  auto reader = rocksdb_store::LogReader::open(*whole.env(), manifest).value();
  int flipped = 0;
  while (reader.next() == rocksdb_store::LogPosition::fragment) {
    const std::uint64_t length_at = reader.fragment().offset + 5;
    const std::uint64_t type_at = reader.fragment().offset + 6;
    for (const auto& [at, bit] : {std::pair{length_at, 0x40}, std::pair{type_at, 4}}) {
      DiskContent content = journal.content;
      content[manifest][at] = static_cast<char>(content[manifest][at] ^ bit);
      RecordedDisk disk(content);
      EXPECT_TRUE(start_once(journal.options, disk)) << "byte " << at << " of " << manifest;
      EXPECT_FALSE(read_store(journal.options.path, disk.env()));
      ++flipped;
    }
  }
  EXPECT_GE(flipped, 20);
}

// The same for every byte of every live log, so that no place in one is left to chance.
TEST_F(PowerCut, AFlipAnywhereInALogCutsNothingButTheLastRecord) {
  // Not flushed, or all that is left in a log could be its last record.
  journal = record(
      {.seed = first_seed() + 11, .batches = 12, .starts = 1, .write_ahead_bytes = 1U << 20});
  const DiskContent before_last = content_before(journal.marks.back().begun);
  const std::uint64_t stride = setting("PENSTOCK_POWER_CUT_STRIDE", 61);
  const std::size_t last = journal.marks.size() - 1;
  int reported = 0;
  for (const auto& [path, bytes] : journal.content) {
    if (!path.ends_with(".log")) continue;
    const auto before = before_last.find(path);
    const std::size_t last_record = before == before_last.end() ? 0 : before->second.size();
    for (std::size_t at = 0; at < bytes.size() && !HasFailure(); at += stride) {
      SCOPED_TRACE(fmt::format("byte {} of {} in {}", at, bytes.size(), path));
      DiskContent content = journal.content;
      content[path][at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
      RecordedDisk disk(content);
      if (start_once(journal.options, disk)) {
        ++reported;
        continue;
      }
      const auto found = read(disk);
      ASSERT_TRUE(found);
      const auto batch = batch_of(*found);
      ASSERT_TRUE(batch) << "misread: " << ::testing::PrintToString(*found);
      EXPECT_GE(*batch, at < last_record ? last : last - 1);
    }
  }
  EXPECT_GE(reported, 1);
}

// The model is worth something only if it can tell states apart and the disk does write files.
TEST_F(PowerCut, TheJournalHoldsFlushesManyStatesAndUnsyncedSteps) {
  journal = record({.seed = first_seed(), .batches = 60});
  const auto made = [&](std::string_view suffix) {
    return std::ranges::count_if(journal.history, [&](const DiskStep& step) {
      return step.kind == StepKind::make_file && step.name.ends_with(suffix);
    });
  };
  EXPECT_GE(made(".log"), 3);
  EXPECT_GE(made(".sst"), 3);
  EXPECT_GE(journal.marks.back().state.orders.size(), 40U);
  int loose = 0;
  for (std::size_t step = 0; step < journal.history.size(); step += 5) {
    const DiskContent kept =
        cut(journal.history, {.steps = step, .data = LostData::none, .names = LostNames::none});
    loose += kept != cut(journal.history, {.steps = step}) ? 1 : 0;
  }
  EXPECT_GE(loose, 10) << "moments at which something was not synced";
}

}  // namespace
}  // namespace penstock::torture
