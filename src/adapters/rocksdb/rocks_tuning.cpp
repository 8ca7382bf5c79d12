#include "adapters/rocksdb/rocks_tuning.h"

#include <algorithm>
#include <cstdarg>

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/universal_compaction.h>
#include <rocksdb/write_buffer_manager.h>

#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/state_codec.h"
#include "domain/idempotency.h"

namespace penstock::rocksdb_store {
namespace {

/// Leaves out what expired; a record that cannot be read stays, so that the reader reports it.
class ExpiredClaims final : public rocksdb::CompactionFilter {
 public:
  explicit ExpiredClaims(domain::Instant now) : now_(now) {}
  const char* Name() const override { return "penstock.ExpiredClaims"; }
  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string*,
              bool*) const override {
    const auto record = decode<domain::IdempotencyRecord>(key.ToStringView(), value.ToStringView());
    return record && now_ >= record->expires_at;
  }

 private:
  domain::Instant now_;
};

class ExpiredClaimsFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit ExpiredClaimsFactory(std::shared_ptr<std::atomic<std::int64_t>> wall_us)
      : wall_us_(std::move(wall_us)) {}
  const char* Name() const override { return "penstock.ExpiredClaimsFactory"; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<ExpiredClaims>(domain::Instant{wall_us_->load()});
  }

 private:
  std::shared_ptr<std::atomic<std::int64_t>> wall_us_;
};

/// What a key begins with before the order id it ends in: inserts behind the last one of the same
/// beginning, as ids rise, start from where that one went.
class KeyBeginning final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "penstock.KeyBeginning"; }
  bool InDomain(const rocksdb::Slice& key) const override { return key.size() >= kIdBytes; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), key.size() - kIdBytes};
  }
};

/// The tenant of a scoped key. Keys that a tenant numbers rise, as ids do.
class KeyTenant final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "penstock.KeyTenant"; }
  bool InDomain(const rocksdb::Slice& key) const override {
    return key.ToStringView().find('\0') != std::string_view::npos;
  }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), key.ToStringView().find('\0')};
  }
};

/// RocksDB's own log file aborts the process at its second line on a full disk. What matters of it
/// comes back as a status, and is told in the program's log.
class NoLogFile final : public rocksdb::Logger {
 public:
  NoLogFile() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

constexpr int kCacheShardBits = 2;
constexpr std::uint64_t kRecompactSeconds = 7 * 24 * 3600;

}  // namespace

RocksTuning::RocksTuning(const RocksStoreOptions& options,
                         std::shared_ptr<std::atomic<std::int64_t>> wall_us, rocksdb::Env* env)
    : options_(options),
      wall_us_(std::move(wall_us)),
      env_(env == nullptr ? rocksdb::Env::Default() : env),
      // Few shards: a block larger than its shard is never cached, and is read again by every
      // lookup.
      cache_(rocksdb::NewLRUCache(options.block_cache_bytes, kCacheShardBits)) {}

rocksdb::DBOptions RocksTuning::database() const {
  rocksdb::DBOptions database;
  database.env = env_;
  database.create_if_missing = true;
  database.create_missing_column_families = true;
  database.paranoid_checks = true;
  // A failed sync is final: what a second one would say about lost pages is worth nothing.
  database.max_bgerror_resume_count = 0;
  database.max_background_jobs = 2;
  database.max_open_files = options_.max_open_files;
  // Bounds what is replayed after a kill; the families that pin the oldest log are flushed.
  database.max_total_wal_size = options_.write_ahead_bytes;
  database.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(options_.memtable_bytes);
  // One thread writes, so that the machinery for several is only in the way.
  database.allow_concurrent_memtable_write = false;
  database.enable_write_thread_adaptive_yield = false;
  database.avoid_unnecessary_blocking_io = true;
  database.bytes_per_sync = 1U << 20;
  database.stats_dump_period_sec = 0;
  database.stats_persist_period_sec = 0;
  database.info_log = std::make_shared<NoLogFile>();
  return database;
}

rocksdb::ColumnFamilyOptions RocksTuning::small_family() const {
  rocksdb::ColumnFamilyOptions family;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache_;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  // In pieces: the filter of a file that many runs were merged into grows with the file, and one
  // piece, not all of it, is what a lookup needs in the cache.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 16U << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  table.block_size = 16U << 10;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.compression = rocksdb::kLZ4Compression;
  family.write_buffer_size = std::max<std::size_t>(options_.memtable_bytes / 4, 1U << 20);
  family.max_write_buffer_number = 3;
  return family;
}

/// Data that is written once: sorted runs pile up and are merged many at a time, since every merge
/// writes everything again and nothing is gained but a lookup in fewer runs.
rocksdb::ColumnFamilyOptions RocksTuning::tiered_family(int runs) const {
  rocksdb::ColumnFamilyOptions family = small_family();
  family.compaction_style = rocksdb::kCompactionStyleUniversal;
  family.level0_file_num_compaction_trigger = runs;
  family.level0_slowdown_writes_trigger = 4 * runs;
  family.level0_stop_writes_trigger = 6 * runs;
  family.compaction_options_universal.min_merge_width = static_cast<unsigned>(runs / 2);
  family.compaction_options_universal.size_ratio = 20;
  family.compaction_options_universal.max_size_amplification_percent = 400;
  return family;
}

rocksdb::ColumnFamilyOptions RocksTuning::family(const std::string& name) const {
  if (name.starts_with(kMonthPrefix)) {
    rocksdb::ColumnFamilyOptions family = tiered_family(24);
    family.memtable_insert_with_hint_prefix_extractor = std::make_shared<KeyBeginning>();
    return family;
  }
  if (name == "idempotency") {
    rocksdb::ColumnFamilyOptions family = tiered_family(12);
    family.compaction_filter_factory = std::make_shared<ExpiredClaimsFactory>(wall_us_);
    family.periodic_compaction_seconds = kRecompactSeconds;
    // Random keys: a small table stays in the processor's cache.
    family.write_buffer_size = std::max<std::size_t>(options_.memtable_bytes / 16, 1U << 20);
    // Fingerprints do not compress.
    family.compression = rocksdb::kNoCompression;
    // Nearly every lookup is for a key that is not there.
    family.memtable_prefix_bloom_size_ratio = 0.05;
    family.memtable_whole_key_filtering = true;
    family.memtable_insert_with_hint_prefix_extractor = std::make_shared<KeyTenant>();
    return family;
  }
  rocksdb::ColumnFamilyOptions family = small_family();
  if (name == "active") {
    family.memtable_insert_with_hint_prefix_extractor = std::make_shared<KeyBeginning>();
  }
  return family;
}

}  // namespace penstock::rocksdb_store
