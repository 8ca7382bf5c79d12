#pragma once

#include <cstddef>
#include <cstdint>

#include "domain/fair_share.h"
#include "domain/limits.h"

namespace penstock::domain {

/// What one tenant holds of the rooms that active orders are counted in.
struct OrderShare {
  Share active{};
  Share dead_letters{};  ///< open ones
  Share owed_refunds{};
};

/// What counts of one active order.
struct OrderMarks {
  bool is_open_dead_letter = false;
  bool owes_refund = false;
};

/// The rooms that a store's active orders are counted in, for its accept rule and its depths. Not
/// thread-safe.
class OrderRooms {
 public:
  explicit OrderRooms(std::size_t max_active)
      : active_(max_active),
        dead_letters_(limits::kMaxDeadLetters),
        owed_refunds_(limits::kMaxOwedRefunds) {}

  void add(OrderShare& share, OrderMarks marks) {
    active_.take(share.active);
    if (marks.is_open_dead_letter) dead_letters_.take(share.dead_letters);
    if (marks.owes_refund) owed_refunds_.take(share.owed_refunds);
  }
  /// Counts so many dead letters and owed refunds of a tenant that are known by number alone.
  void add_marked(OrderShare& share, std::uint32_t dead_letters, std::uint32_t owed_refunds) {
    dead_letters_.take(share.dead_letters, dead_letters);
    owed_refunds_.take(share.owed_refunds, owed_refunds);
  }
  void remove(OrderShare& share, OrderMarks marks) {
    active_.give_back(share.active);
    if (marks.is_open_dead_letter) dead_letters_.give_back(share.dead_letters);
    if (marks.owes_refund) owed_refunds_.give_back(share.owed_refunds);
  }
  void set_standing(OrderShare& share, Standing standing) {
    active_.set_standing(share.active, standing);
    dead_letters_.set_standing(share.dead_letters, standing);
    owed_refunds_.set_standing(share.owed_refunds, standing);
  }

  /// Whether one more order of the tenant may become active.
  bool may_accept(const OrderShare& share) const { return active_.has_place_for(share.active); }

  /// Whether somebody may be at the bound of dead letters or owed refunds. O(1).
  bool may_be_at_bound() const {
    return is_half_full(dead_letters_) || is_half_full(owed_refunds_);
  }
  bool is_at_bound(const OrderShare& share) const {
    return !dead_letters_.has_place_for(share.dead_letters) ||
           !owed_refunds_.has_place_for(share.owed_refunds);
  }
  /// Whether every tenant without a contract of its own is.
  bool is_group_at_bound() const {
    return dead_letters_.is_group_full() || owed_refunds_.is_group_full();
  }

 private:
  static bool is_half_full(const SharedRoom& room) { return room.used() >= room.capacity() / 2; }

  SharedRoom active_;
  SharedRoom dead_letters_;
  SharedRoom owed_refunds_;
};

}  // namespace penstock::domain
