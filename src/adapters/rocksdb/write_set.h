#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "adapters/rocksdb/byte_codec.h"
#include "adapters/rocksdb/record_codec.h"
#include "adapters/rocksdb/state_codec.h"

namespace penstock::rocksdb_store {

/// How a key goes: `any` however often it was written, `written_once` where it was put exactly once
/// (RocksDB's SingleDelete: put and removal vanish together at the first flush that sees both).
enum class Removal : std::uint8_t { any, written_once };

/// The writes of one group commit, collected in one buffer and handed to RocksDB sorted by family
/// and key, which makes the inserts into its sorted memory tables cheap. Writes of one key keep
/// their order. Not thread-safe; its room is used again after `clear`.
class WriteSet {
 public:
  using Family = rocksdb::ColumnFamilyHandle*;

  /// Puts a record of state_codec.h under a key, sealed.
  template <typename Record>
  void put(Family family, std::string_view key, const Record& record) {
    begin(family, key);
    encode(record, bytes_);
    end();
  }

  /// Puts an order's record and returns it as it is stored, valid until the next write.
  std::string_view put_order(Family family, std::string_view key, const domain::Order& order,
                             const OrderExtras& extras) {
    begin(family, key);
    encode_order(order, extras, bytes_);
    end();
    return value_of(operations_.back());
  }

  void remove(Family family, std::string_view key, Removal removal);

  /// The sealed value that this set puts last under `key`; nothing if it puts none. O(writes).
  std::optional<std::string_view> find(Family family, std::string_view key) const;

  bool empty() const { return operations_.empty(); }
  void clear();

  /// Adds the writes to `batch`, sorted. The set is not to be written to until `clear`.
  rocksdb::Status move_into(rocksdb::WriteBatch& batch);

 private:
  enum class Kind : std::uint8_t { put, remove, remove_once };
  struct Operation {
    Family family = nullptr;
    std::uint32_t family_id = 0;
    Kind kind = Kind::put;
    std::uint64_t key_head = 0;  ///< the first bytes of the key, as a number
    std::uint32_t key_at = 0;
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    std::uint32_t sequence = 0;
  };

  void begin(Family family, std::string_view key);
  void end();
  std::string_view key_of(const Operation& operation) const {
    return bytes_.view(operation.key_at).substr(0, operation.key_size);
  }
  std::string_view value_of(const Operation& operation) const {
    return bytes_.view(operation.key_at + operation.key_size).substr(0, operation.value_size);
  }
  bool is_before(const Operation& left, const Operation& right) const;

  ByteWriter bytes_;  ///< key, value, key, value, ...
  std::vector<Operation> operations_;
};

}  // namespace penstock::rocksdb_store
