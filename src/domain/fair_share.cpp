#include "domain/fair_share.h"

#include <algorithm>

namespace penstock::domain {

std::size_t allowance(const PartyView& view) {
  constexpr std::size_t kGreed = SharedRoom::kGreed;
  if (view.free == 0) return 0;
  // The largest x with held + x <= kGreed * (free - x).
  const std::size_t threshold = kGreed * view.free;
  const std::size_t by_threshold =
      threshold > view.held ? (threshold - view.held) / (kGreed + 1) : 0;
  // The largest x with free - x >= capacity / (1 + kGreed * parties), rounded up.
  const std::size_t parts = 1 + kGreed * view.parties;
  const std::size_t reserve = (view.capacity + parts - 1) / parts;
  const std::size_t by_reserve = view.free > reserve ? view.free - reserve : 0;
  const std::size_t newcomer = view.held == 0 ? 1 : 0;
  return std::max(newcomer, std::min(by_threshold, by_reserve));
}

std::size_t SharedRoom::group_allowance() const {
  if (capacity_ < kLeastShared) return free();
  return allowance(
      {.capacity = capacity_, .free = free(), .parties = own_parties_ + 1, .held = group_used_});
}

bool SharedRoom::has_place_for(const Share& share) const {
  // While half of a room is free nobody can be at a share: what follows would say so too.
  constexpr std::size_t kLeastForShortcut = 64;
  if (capacity_ >= kLeastForShortcut && used_ <= capacity_ / 2) return true;
  return places_for(share) > 0;
}

std::size_t SharedRoom::places_for(const Share& share) const {
  if (capacity_ < kLeastShared) return free();
  const std::size_t comes = share.held == 0 ? 1 : 0;
  if (share.standing == Standing::own_contract) {
    return allowance(
        {.capacity = capacity_, .free = free(), .parties = parties() + comes, .held = share.held});
  }
  const std::size_t for_group = group_allowance();
  return allowance({.capacity = group_used_ + for_group,
                    .free = for_group,
                    .parties = members_ + comes,
                    .held = share.held});
}

void SharedRoom::enter(const Share& share) {
  used_ += share.held;
  const std::size_t one = share.held > 0 ? 1 : 0;
  if (share.standing == Standing::own_contract) {
    own_parties_ += one;
  } else {
    group_used_ += share.held;
    members_ += one;
  }
}

void SharedRoom::leave(const Share& share) {
  used_ -= share.held;
  const std::size_t one = share.held > 0 ? 1 : 0;
  if (share.standing == Standing::own_contract) {
    own_parties_ -= one;
  } else {
    group_used_ -= share.held;
    members_ -= one;
  }
}

void SharedRoom::take(Share& share, std::uint32_t places) {
  leave(share);
  share.held += places;
  enter(share);
}

void SharedRoom::give_back(Share& share, std::uint32_t places) {
  PENSTOCK_CHECK(share.held >= places, "a place is given back by who holds it");
  leave(share);
  share.held -= places;
  enter(share);
}

void SharedRoom::set_standing(Share& share, Standing standing) {
  if (share.standing == standing) return;
  leave(share);
  share.standing = standing;
  enter(share);
}

}  // namespace penstock::domain
