#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "domain/fair_share.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// The tenants' shares of the active orders of all processes, as far as one process can tell: they
/// are counted now and then once half of the bound is used, and in between what this process
/// accepts is added. What others accept between two counts may come on top. Not thread-safe.
class ActiveShares {
 public:
  using Clock = std::chrono::steady_clock;
  /// How many orders of a tenant a batch may accept, for those that it has orders of.
  using TenantRooms = std::map<std::string, std::int64_t, std::less<>>;
  using Counted = std::vector<std::pair<domain::TenantId, std::size_t>>;
  using StandingOf = std::function<domain::Standing(const domain::TenantId&)>;

  /// Counts are `age` old at most, or ten times as old as counting took.
  ActiveShares(std::size_t max_active, domain::Duration age) : room_(max_active), age_(age.us) {}

  /// Whether shares count at all with so many orders active.
  bool matter(std::size_t active) const { return active >= room_.capacity() / 2; }
  bool is_count_due(Clock::time_point now) const { return now >= due_; }
  void counted(const Counted& orders, const StandingOf& standing_of, Clock::time_point asked,
               Clock::time_point now);

  /// What the accepts of a batch may take, in their order. It is taken until `end`.
  TenantRooms begin(std::span<const ports::Command> commands, const StandingOf& standing_of);
  /// The batch was carried out: what was not accepted is given back.
  void end(std::span<const ports::CommandResult> results);

 private:
  domain::Share& share_of(const domain::TenantId& tenant, const StandingOf& standing_of);

  domain::SharedRoom room_;
  std::chrono::microseconds age_;
  std::unordered_map<domain::TenantId, domain::Share> shares_;
  /// By command of the present batch, whose share its order took a place of.
  std::vector<domain::Share*> taken_;
  Clock::time_point due_;
};

}  // namespace penstock::postgres_store
