#include "gateway/key_table.h"

#include <utility>

#include "domain/check.h"
#include "domain/int128.h"

namespace penstock::gateway {
namespace {

// A shard is between 5/7 and 4/5 full: 32 bytes a slot are 40 to 45 bytes a key. Fuller, a look
// for a key that is not there takes (1 + 1 / (1 - load)^2) / 2 slots (Knuth, volume 3, 6.4): 13
// now, 33 at 7/8.
constexpr std::size_t kFullNumerator = 4;
constexpr std::size_t kFullDenominator = 5;
constexpr std::size_t kLeastSlots = 8;

/// Slots are in the order of the hash, so a shard grows by one sequential pass.
std::size_t home_of(KeyHash hash, std::size_t slots) {
  return static_cast<std::size_t>(static_cast<domain::UnsignedInt128>(hash.high) *
                                      static_cast<domain::UnsignedInt128>(slots) >>
                                  64);
}

}  // namespace

KeyRecord& KeyTable::slot_for(Shard& shard, KeyHash hash) {
  std::size_t slot = home_of(hash, shard.slots.size());
  while (shard.slots[slot].state != KeyState::absent && shard.slots[slot].hash != hash) {
    if (++slot == shard.slots.size()) slot = 0;
  }
  return shard.slots[slot];
}

void KeyTable::resize(Shard& shard, std::size_t slots) {
  const std::vector<KeyRecord> old = std::exchange(shard.slots, std::vector<KeyRecord>(slots));
  for (const KeyRecord& record : old) {
    if (record.state != KeyState::absent) slot_for(shard, record.hash) = record;
  }
}

void KeyTable::reserve(std::size_t keys) {
  const std::size_t slots = keys / kShards * kFullDenominator / kFullNumerator + kLeastSlots;
  for (Shard& shard : shards_) {
    if (shard.slots.size() < slots) resize(shard, slots);
  }
}

KeyRecord* KeyTable::find(KeyHash hash) {
  Shard& shard = shard_of(hash);
  if (shard.used == 0) return nullptr;
  KeyRecord& record = slot_for(shard, hash);
  return record.state == KeyState::absent ? nullptr : &record;
}

void KeyTable::insert(const KeyRecord& record) {
  PENSTOCK_CHECK(record.state != KeyState::absent, "a record has a state");
  Shard& shard = shard_of(record.hash);
  if ((shard.used + 1) * kFullDenominator > shard.slots.size() * kFullNumerator) {
    const std::size_t slots = shard.slots.size();
    resize(shard, slots + slots / 8 + kLeastSlots);
  }
  KeyRecord& slot = slot_for(shard, record.hash);
  PENSTOCK_CHECK(slot.state == KeyState::absent, "a key is recorded once");
  slot = record;
  ++shard.used;
  ++size_;
}

std::size_t KeyTable::memory_bytes() const {
  std::size_t slots = 0;
  for (const Shard& shard : shards_) slots += shard.slots.size();
  return slots * sizeof(KeyRecord);
}

}  // namespace penstock::gateway
