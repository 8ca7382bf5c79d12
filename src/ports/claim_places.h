#pragma once

#include <cstddef>
#include <vector>

#include "domain/fair_share.h"
#include "domain/ids.h"

namespace penstock::ports {

/// The places that one claim takes for the orders it leases, in a room that tenants share (see
/// domain/fair_share.h). The claimer owns the room and gives each place back when the order's work
/// is over. Not thread-safe.
class ClaimPlaces {
 public:
  using Room = domain::FairRoom<domain::TenantId>;

  explicit ClaimPlaces(Room& room) : room_(room) {}

  /// Takes a place for the tenant's next order; false where its share is used up: then no order of
  /// it may be leased.
  bool take(const domain::TenantId& tenant, domain::Standing standing) {
    Room::Holder* holder = room_.take(tenant, standing);
    if (holder != nullptr) taken_.push_back(holder);
    return holder != nullptr;
  }
  /// Takes one beyond the share, for an order that is leased already.
  void take_anyway(const domain::TenantId& tenant, domain::Standing standing) {
    taken_.push_back(room_.take_anyway(tenant, standing));
  }
  /// Gives the last place back: nothing was leased after all.
  void undo() {
    room_.give_back(taken_.back());
    taken_.pop_back();
  }

  /// No tenant without a contract of its own may take a place.
  bool is_group_full() const { return room_.room().is_group_full(); }
  /// The tenants that hold places and may take no other one, for stores that choose by a query.
  std::vector<domain::TenantId> at_their_share() const {
    std::vector<domain::TenantId> full;
    room_.for_each([&](const domain::TenantId& tenant, const domain::Share& share) {
      if (!room_.room().has_place_for(share)) full.push_back(tenant);
    });
    return full;
  }
  std::size_t free() const { return room_.room().free(); }

  /// One for each order that was leased, in their order.
  const std::vector<Room::Holder*>& taken() const { return taken_; }

 private:
  Room& room_;
  std::vector<Room::Holder*> taken_;
};

}  // namespace penstock::ports
