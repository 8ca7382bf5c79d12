#include "adapters/postgres/active_shares.h"

#include <algorithm>
#include <variant>

namespace penstock::postgres_store {
namespace {

/// Counting may take a tenth of the time at most.
constexpr int kCountShare = 10;

}  // namespace

domain::Share& ActiveShares::share_of(const domain::TenantId& tenant,
                                      const StandingOf& standing_of) {
  domain::Share& share = shares_[tenant];
  room_.set_standing(share, standing_of(tenant));
  return share;
}

void ActiveShares::counted(const Counted& orders, const StandingOf& standing_of,
                           Clock::time_point asked, Clock::time_point now) {
  shares_.clear();
  taken_.clear();
  room_ = domain::SharedRoom(room_.capacity());
  for (const auto& [tenant, count] : orders) {
    room_.take(share_of(tenant, standing_of), static_cast<std::uint32_t>(count));
  }
  due_ = now + std::max<Clock::duration>(age_, kCountShare * (now - asked));
  if (age_ == age_.zero()) due_ = now;
}

ActiveShares::TenantRooms ActiveShares::begin(std::span<const ports::Command> commands,
                                              const StandingOf& standing_of) {
  TenantRooms rooms;
  taken_.assign(commands.size(), nullptr);
  for (std::size_t index = 0; index < commands.size(); ++index) {
    const auto* accept = std::get_if<ports::Accept>(&commands[index]);
    if (accept == nullptr) continue;
    const domain::TenantId& tenant = accept->commit.next.tenant;
    std::int64_t& room = rooms[tenant.str()];
    domain::Share& share = share_of(tenant, standing_of);
    if (!room_.has_place_for(share)) continue;
    room_.take(share);
    taken_[index] = &share;
    room += 1;
  }
  return rooms;
}

void ActiveShares::end(std::span<const ports::CommandResult> results) {
  for (std::size_t index = 0; index < std::min(taken_.size(), results.size()); ++index) {
    if (taken_[index] == nullptr) continue;
    const auto* accept = std::get_if<ports::AcceptResult>(&results[index]);
    const bool is_active = accept != nullptr && accept->order &&
                           accept->outcome == ports::AcceptOutcome::accepted &&
                           !domain::is_terminal(accept->order->status);
    if (!is_active) room_.give_back(*taken_[index]);
  }
  taken_.clear();
}

}  // namespace penstock::postgres_store
