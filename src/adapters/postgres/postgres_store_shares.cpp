#include <algorithm>
#include <iterator>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/order_codec.h"
#include "adapters/postgres/postgres_store.h"
#include "adapters/postgres/statements.h"
#include "domain/limits.h"
#include "domain/order_shares.h"

// Claims, accepts and depths within the shares of the tenants (domain/fair_share.h).
namespace penstock::postgres_store {

using domain::Order;
using ports::StoreError;

// The batch is divided by tenant only where shares do not matter yet, so its parts agree.
std::optional<ActiveShares::TenantRooms> PostgresStore::tenant_rooms(
    std::span<const ports::Command> commands) {
  if (!active_shares_.matter(active_seen_ + commands.size())) return std::nullopt;
  const auto standing_of = [this](const domain::TenantId& tenant) {
    return reader_.standing(tenant);
  };
  const auto asked = ActiveShares::Clock::now();
  if (active_shares_.is_count_due(asked)) {
    // Without an answer the last count goes on; the batch itself finds the database away.
    if (const auto rows = run(statements::kActiveByTenant, {})) {
      ActiveShares::Counted counted;
      for (std::size_t row = 0; row < rows->size(); ++row) {
        counted.emplace_back(domain::TenantId::unchecked(std::string(rows->bytes(row, 0))),
                             static_cast<std::size_t>(rows->integer(row, 1)));
      }
      active_shares_.counted(counted, standing_of, asked, ActiveShares::Clock::now());
    }
  }
  return active_shares_.begin(commands, standing_of);
}

std::expected<std::vector<Order>, StoreError> PostgresStore::claim_within(
    domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places, domain::Now) {
  if (stopped_) return std::unexpected(*stopped_);
  const auto long_ago = HeldOrders::Clock::now() - std::chrono::microseconds(kMaxHeldFor.us);
  if (held_.size() > 0) give_back(held_.take_older_than(long_ago));
  std::vector<Order> held = held_.take(stage, limit);
  if (places != nullptr && !held.empty()) give_back(beyond_shares(held, *places, reader_));
  limit -= held.size();
  if (limit == 0 || !is_worth_asking(static_cast<unsigned>(stage))) {
    held_.wanted(stage, limit);
    return held;
  }
  auto orders = ask_for(stage, limit, places);
  if (!orders) {
    give_back(held);
    return std::unexpected(orders.error());
  }
  held_.wanted(stage, limit - orders->size());
  std::ranges::move(*orders, std::back_inserter(held));
  return held;
}

// The database does not know the places: who is at a share is left out, and of what is free half is
// asked for, so that whoever gets too much of it leaves the other half.
std::expected<std::vector<Order>, StoreError> PostgresStore::ask_for(domain::Stage stage,
                                                                     std::size_t limit,
                                                                     ports::ClaimPlaces* places) {
  ArrayWriter left_out(type_id::kText);
  bool is_group_left_out = false;
  if (places != nullptr) {
    limit = std::min(limit, std::max<std::size_t>(1, places->free() / 2));
    is_group_left_out = places->is_group_full();
    for (const domain::TenantId& tenant : places->at_their_share()) left_out.add(tenant.str());
  }
  std::string& last_tenant = last_tenants_.at(static_cast<std::size_t>(stage));
  const auto rows = run(
      statements::kClaim,
      Parameters()
          .add(options_.node)
          .add(to_binary(static_cast<std::int16_t>(stage)))
          .add(to_binary(static_cast<std::int32_t>(std::min(limit, domain::limits::kMaxInFlight))))
          .add(interval_to_binary(options_.lease))
          .add(last_tenant)
          .add(to_binary(options_.default_contract.weight))
          .add(to_binary(kMaxTenantsPerClaim))
          .add(left_out.bytes())
          .add(to_binary(is_group_left_out)));
  if (!rows) return std::unexpected(rows.error());
  auto orders = decode_orders(*rows);
  if (!orders) return std::unexpected(note_corrupt("a claimed order has another form"));
  if (!orders->empty()) last_tenant = orders->back().tenant.str();
  if (orders->size() < limit) found_no_more(static_cast<unsigned>(stage));
  if (places != nullptr) {
    for (const Order& order : *orders) {
      places->take_anyway(order.tenant, reader_.standing(order.tenant));
    }
  }
  return *std::move(orders);
}

// Who is at a share is asked for only where somebody may be.
void PostgresStore::count_by_tenant(ports::StoreDepth& depth) {
  domain::OrderRooms rooms(options_.max_active);
  if (depth.open_dead_letters < domain::limits::kMaxDeadLetters / 2 &&
      depth.owed_refunds < domain::limits::kMaxOwedRefunds / 2) {
    return;
  }
  const auto rows = run(statements::kDeadLettersByTenant, {});
  if (!rows) return;
  std::vector<std::pair<domain::TenantId, domain::OrderShare>> shares(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    auto& [tenant, share] = shares[row];
    tenant = domain::TenantId::unchecked(std::string(rows->bytes(row, 0)));
    rooms.set_standing(share, reader_.standing(tenant));
    rooms.add_marked(share, static_cast<std::uint32_t>(rows->integer(row, 1)),
                     static_cast<std::uint32_t>(rows->integer(row, 2)));
  }
  depth.is_group_at_bound = rooms.is_group_at_bound();
  for (const auto& [tenant, share] : shares) {
    if (rooms.is_at_bound(share)) depth.at_bound.push_back(tenant);
  }
}

}  // namespace penstock::postgres_store
