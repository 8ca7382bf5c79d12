#include "pipeline/charge_bounds.h"

#include <iterator>
#include <string_view>
#include <utility>

#include "domain/limits.h"

namespace penstock::pipeline {
namespace {

/// Tenants that one look writes a line for at most; a further line tells how many more there are.
constexpr std::size_t kMaxLines = 10;

constexpr std::string_view kBegun =
    "charges held back: the share of open dead letters or owed refunds is used up; redrive or "
    "discard dead letters";
constexpr std::string_view kEnded =
    "charges go on: dead letters and owed refunds are within bounds";

using Tenants = std::unordered_set<domain::TenantId>;

void tell_difference(ports::Log& log, const Tenants& now, const Tenants& before,
                     std::string_view message) {
  std::size_t lines = 0;
  for (const domain::TenantId& tenant : now) {
    if (before.contains(tenant)) continue;
    lines += 1;
    if (lines > kMaxLines) continue;
    log.write(ports::LogLevel::warning, message,
              {{"tenant_id", tenant.str()}, {"code", "dead-letters-at-bound"}});
  }
  if (lines > kMaxLines) {
    log.write(ports::LogLevel::warning, message,
              {{"code", "dead-letters-at-bound"}, {"more_tenants", lines - kMaxLines}});
  }
}

}  // namespace

void ChargeBounds::look(domain::Now now) {
  if (now.wall - looked_at_ < kLook && now.wall >= looked_at_) return;
  looked_at_ = now.wall;
  ports::StoreDepth depth = store_.depth();
  const bool is_total = depth.open_dead_letters >= domain::limits::kMaxDeadLetters ||
                        depth.owed_refunds >= domain::limits::kMaxOwedRefunds;
  if (depth.at_bound.empty() && !depth.is_group_at_bound && !is_total && held_back() == 0 &&
      !is_total_) {
    return;
  }
  const Tenants before =
      std::exchange(tenants_, Tenants(std::make_move_iterator(depth.at_bound.begin()),
                                      std::make_move_iterator(depth.at_bound.end())));
  const bool group_before = std::exchange(is_group_, depth.is_group_at_bound);
  const bool total_before = std::exchange(is_total_, is_total);
  tell(before, group_before, total_before);
}

void ChargeBounds::tell(const Tenants& before, bool group_before, bool total_before) {
  tell_difference(log_, tenants_, before, kBegun);
  tell_difference(log_, before, tenants_, kEnded);
  const auto tell_of_many = [this](bool is, bool was, std::string_view whose) {
    if (is == was) return;
    log_.write(ports::LogLevel::warning, is ? kBegun : kEnded,
               {{"code", "dead-letters-at-bound"}, {"tenants", whose}});
  };
  tell_of_many(is_group_, group_before, "all without a contract of their own");
  tell_of_many(is_total_, total_before, "all");
}

bool ChargeBounds::holds_back(const domain::TenantId& tenant) const {
  if (is_total_) return true;
  if (!tenants_.empty() && tenants_.contains(tenant)) return true;
  return is_group_ && reader_.standing(tenant) == domain::Standing::grouped;
}

}  // namespace penstock::pipeline
