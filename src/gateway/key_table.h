#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gateway/key_hash.h"

namespace penstock::gateway {

/// What was done under a key.
enum class KeyState : std::uint8_t {
  absent = 0,    ///< nothing; the mark of an empty slot
  closed = 1,    ///< a tombstone: no charge under the key ever acts
  declined = 2,  ///< a charge was declined
  captured = 3,  ///< a charge captured
  repaid = 4,    ///< a charge captured and was refunded
  refund = 5,    ///< a refund was paid
};

/// All that is kept of a key.
struct KeyRecord {
  KeyHash hash;
  std::int64_t minor_units = 0;
  std::uint32_t fingerprint = 0;  ///< of the other parameters, to tell a replay from a misuse
  std::uint16_t currency = 0;     ///< packed, see pack_currency
  KeyState state = KeyState::absent;
};
static_assert(sizeof(KeyRecord) == 32, "the table's memory per key");

/// Every key the gateway ever acted on: open addressing, at most 46 bytes a key. Split into shards
/// that grow one at a time, so that growth neither doubles the memory nor stops the gateway.
/// Not thread-safe.
class KeyTable {
 public:
  /// The record of a key, or nullptr. Its state may be changed in place; valid until insert().
  KeyRecord* find(KeyHash hash);

  /// Adds a record whose hash is not in the table and whose state is not absent; anything else is
  /// a bug and stops the process.
  void insert(const KeyRecord& record);

  /// Makes room for so many keys at once, so that taking them in does not grow the table.
  void reserve(std::size_t keys);

  std::size_t size() const { return size_; }
  /// What the slots take.
  std::size_t memory_bytes() const;

 private:
  struct Shard {
    std::vector<KeyRecord> slots;
    std::size_t used = 0;
  };
  static constexpr std::size_t kShards = 256;

  Shard& shard_of(KeyHash hash) { return shards_[hash.low % kShards]; }
  static KeyRecord& slot_for(Shard& shard, KeyHash hash);
  static void resize(Shard& shard, std::size_t slots);

  std::array<Shard, kShards> shards_;
  std::size_t size_ = 0;
};

}  // namespace penstock::gateway
