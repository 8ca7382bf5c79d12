#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "domain/ids.h"
#include "domain/order.h"

namespace penstock::rocksdb_store {

/// What is kept in memory of an active order: 40 bytes.
struct ActiveOrder {
  static constexpr std::uint32_t kNotKept = UINT32_MAX;

  domain::OrderId id;                ///< all zero: a free slot
  std::uint32_t version = 0;         ///< as stored
  std::uint32_t tenant = 0;          ///< number in the tenant table
  std::uint32_t ticket = 0;          ///< of the queue entry that counts; every other one is stale
  std::uint32_t kept_at = kNotKept;  ///< in the ring of fresh records
  domain::Status status = domain::Status::placed;
  bool leased : 1 = false;
  bool open_dead_letter : 1 = false;
  bool listed_dead_letter : 1 = false;
  bool owes_refund : 1 = false;
  bool holds_stock : 1 = false;
  bool written_once : 1 = false;  ///< exactly one Put in this run: a SingleDelete removes it
};

/// The active orders by id: open addressing with linear probing, so that a million of them take
/// 80 MB. Not thread-safe. Pointers live until the next insert or erase. Bounded by the orders that
/// the store admits.
class OrderIndex {
 public:
  OrderIndex() : slots_(kLeastSlots) {}

  ActiveOrder* find(const domain::OrderId& id) {
    ActiveOrder& slot = slots_[position_of(id)];
    return is_free(slot) ? nullptr : &slot;
  }
  const ActiveOrder* find(const domain::OrderId& id) const {
    const ActiveOrder& slot = slots_[position_of(id)];
    return is_free(slot) ? nullptr : &slot;
  }

  /// Adds an order that is not in the index.
  ActiveOrder& insert(const domain::OrderId& id) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    ActiveOrder& slot = slots_[position_of(id)];
    slot = ActiveOrder{};
    slot.id = id;
    ++size_;
    return slot;
  }

  /// Removes an order; the ones that probed past it move up, so that no mark stays behind.
  void erase(const domain::OrderId& id) {
    std::size_t hole = position_of(id);
    if (is_free(slots_[hole])) return;
    --size_;
    for (std::size_t next = following(hole); !is_free(slots_[next]); next = following(next)) {
      const std::size_t home = home_of(slots_[next].id);
      const bool may_move =
          ((next - home) & (slots_.size() - 1)) >= ((next - hole) & (slots_.size() - 1));
      if (!may_move) continue;
      slots_[hole] = slots_[next];
      hole = next;
    }
    slots_[hole] = ActiveOrder{};
  }

  std::size_t size() const { return size_; }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const ActiveOrder& slot : slots_) {
      if (!is_free(slot)) visit(slot);
    }
  }

 private:
  static constexpr std::size_t kLeastSlots = 1024;  // a power of two, as every size

  static bool is_free(const ActiveOrder& slot) { return slot.id == domain::OrderId{}; }
  std::size_t following(std::size_t position) const { return (position + 1) & (slots_.size() - 1); }

  std::size_t home_of(const domain::OrderId& id) const {
    // Fibonacci hashing over the random tail; ids of tests may differ in a few bits only.
    std::uint64_t hash = std::hash<domain::OrderId>{}(id) * 0x9e37'79b9'7f4a'7c15;
    hash ^= hash >> 32;
    return static_cast<std::size_t>(hash * 0xd6e8'feb8'6659'fd93 >> 20) & (slots_.size() - 1);
  }

  std::size_t position_of(const domain::OrderId& id) const {
    std::size_t position = home_of(id);
    while (!is_free(slots_[position]) && slots_[position].id != id) position = following(position);
    return position;
  }

  void grow() {
    std::vector<ActiveOrder> old(slots_.size() * 2);
    old.swap(slots_);
    for (const ActiveOrder& slot : old) {
      if (!is_free(slot)) slots_[position_of(slot.id)] = slot;
    }
  }

  std::vector<ActiveOrder> slots_;
  std::size_t size_ = 0;
};

static_assert(sizeof(ActiveOrder) <= 40);

}  // namespace penstock::rocksdb_store
