#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/rocksdb/state_codec.h"
#include "adapters/rocksdb/tenant_table.h"

/// Stock and buckets are many small rows, of which a batch changes a thousand here and there. A
/// batch does not store each of them: one record of the family `changes` holds the new values of
/// all rows that it changed. The rows' own records are swept after it, a few with each batch, the
/// one that is behind for longest first, and the records that no row needs any more are removed.
/// This is a redo log with a fuzzy checkpoint (Gray and Reuter, Transaction Processing, 1993).
///
/// What is stored is therefore the rows, and over them the records of `changes` in the order of
/// their keys. Each record has whole values, and every change of a stored row is in one, so that it
/// does no harm if a row already is as a record says, or as a later one does.
namespace penstock::rocksdb_store {

/// The rows of one table, by number, whose own records are behind. Not thread-safe. Bounded by the
/// rows of the table.
class SweepQueue {
 public:
  /// One row is swept for so many changes, so that the records which are kept have at most as many
  /// changes times the rows of the table.
  static constexpr std::size_t kChangesPerSweep = 8;

  /// The record `sequence` has a new value of the row.
  void add(std::uint32_t row, std::uint64_t sequence) {
    ++changes_;
    if (row >= is_behind_.size()) is_behind_.resize(std::size_t{2} * row + 1);
    if (is_behind_[row]) return;
    is_behind_[row] = true;
    behind_.push_back({.row = row, .since = sequence});
  }

  /// Calls `store(row)` for those that have their turn with the changes that were added.
  template <typename Store>
  void sweep(Store store) {
    for (; changes_ >= kChangesPerSweep && !behind_.empty(); changes_ -= kChangesPerSweep) {
      const std::uint32_t row = behind_.front().row;
      behind_.pop_front();
      is_behind_[row] = false;
      store(row);
    }
  }

  /// The first record that a row still needs; nothing if all rows are stored.
  std::optional<std::uint64_t> first_needed() const {
    if (behind_.empty()) return std::nullopt;
    return behind_.front().since;
  }

 private:
  struct Behind {
    std::uint32_t row = 0;
    std::uint64_t since = 0;
  };
  std::deque<Behind> behind_;
  std::vector<bool> is_behind_;
  std::size_t changes_ = 0;  ///< since the last sweep, and what did not make up a sweep before
};

/// The writer's side: which records of `changes` there are, and which rows need them.
struct ChangesLog {
  /// Removed with one batch at most.
  static constexpr std::size_t kMaxTrimmed = 256;

  std::uint64_t first = 0;  ///< the oldest record that is stored
  std::uint64_t next = 0;   ///< the record of the batch in hand
  SweepQueue stock;         ///< by the numbers of StockTable
  SweepQueue buckets;       ///< by the numbers of TenantTable
  ChangesRecord record;     ///< room for the record of the batch in hand

  /// Calls `remove(sequence)` for records before the one in hand that no row needs.
  template <typename Remove>
  void trim(Remove remove) {
    const std::uint64_t needed = std::min(
        {next, stock.first_needed().value_or(next), buckets.first_needed().value_or(next)});
    for (std::size_t i = 0; i < kMaxTrimmed && first < needed; ++i) remove(first++);
  }
};

/// The readers' side: the newest values that the records of `changes` have, by the rows' keys.
class StoredChanges {
 public:
  /// Takes in the next record in the order of keys; false if it is damaged.
  bool add(std::string_view key, std::string_view value);

  /// The value that stands over the stored one.
  std::optional<StockTotals> stock(std::string_view key) const { return value_in(stock_, key); }
  std::optional<BucketRecord> bucket(std::string_view key) const { return value_in(buckets_, key); }

  /// Every row named has a record of its own, so that readers find as many as these.
  std::size_t stock_rows() const { return stock_.size(); }
  std::size_t bucket_rows() const { return buckets_.size(); }
  /// The records' numbers, in order.
  const std::vector<std::uint64_t>& sequences() const { return sequences_; }

 private:
  template <typename Value>
  using Rows = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

  template <typename Value>
  static std::optional<Value> value_in(const Rows<Value>& rows, std::string_view key) {
    const auto found = rows.find(key);
    if (found == rows.end()) return std::nullopt;
    return found->second;
  }

  Rows<StockTotals> stock_;
  Rows<BucketRecord> buckets_;
  std::vector<std::uint64_t> sequences_;
};

}  // namespace penstock::rocksdb_store
