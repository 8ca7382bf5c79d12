#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.h"

namespace penstock::rocksdb_store {

/// The sealed records of the orders that were written last, so that the claim that follows reads
/// no disk. The newest overwrites the oldest; its room is used again. Not thread-safe.
class RecordRing {
 public:
  explicit RecordRing(std::size_t capacity) : capacity_(capacity) {}

  /// Keeps a record and says where.
  std::uint32_t keep(const domain::OrderId& id, std::uint32_t version, std::string_view record) {
    if (next_ == entries_.size()) entries_.emplace_back();
    Entry& entry = entries_[next_];
    entry.id = id;
    entry.version = version;
    entry.record.assign(record);
    const std::size_t kept_at = next_;
    next_ = (next_ + 1) % capacity_;
    return static_cast<std::uint32_t>(kept_at);
  }

  /// The record kept at `kept_at`, if it still is this one; valid until the next keep.
  std::string_view find(std::uint32_t kept_at, const domain::OrderId& id,
                        std::uint32_t version) const {
    if (kept_at >= entries_.size()) return {};
    const Entry& entry = entries_[kept_at];
    if (entry.id != id || entry.version != version) return {};
    return entry.record;
  }

 private:
  struct Entry {
    domain::OrderId id;
    std::uint32_t version = 0;
    std::string record;
  };

  std::size_t capacity_;
  std::vector<Entry> entries_;
  std::size_t next_ = 0;
};

}  // namespace penstock::rocksdb_store
