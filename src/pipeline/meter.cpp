#include "pipeline/meter.h"

#include <algorithm>

#include "domain/limits.h"

namespace penstock::pipeline {

using domain::Stage;
using domain::Status;

void Histogram::add(domain::Duration value) {
  const auto bound = std::ranges::lower_bound(kBoundsUs, value.us);
  counts[static_cast<std::size_t>(bound - kBoundsUs.begin())] += 1;
  sum_us += value.us;
  count += 1;
}

namespace {

/// True for the event with which the mark was made; what follows it carries the mark too.
bool made_mark(const domain::Event& event, const domain::DeadLetter& mark) {
  const bool compensated_at_once = event.to == Status::cancelling &&
                                   event.from != Status::cancelling &&
                                   event.reason == mark.last_error;
  return event.at >= mark.at &&
         (event.reason == domain::Reason::dead_lettered || compensated_at_once);
}

}  // namespace

Landing landing_of(const domain::Order& next, domain::Version read, bool with_correlation) {
  Landing landing;
  landing.order = next.id;
  landing.tenant = next.tenant;
  landing.created_at = next.created_at;
  landing.status = next.status;
  landing.since = next.created_at;
  const auto first = static_cast<std::ptrdiff_t>(read.number);
  // A stage lasts from the last change of status, over all its attempts.
  for (auto event = next.timeline.begin() + first; event != next.timeline.begin();) {
    --event;
    if (event->from != event->to) {
      landing.since = event->at;
      break;
    }
  }
  landing.events.assign(next.timeline.begin() + first, next.timeline.end());
  landing.dead_lettered =
      next.dead_letter && std::ranges::any_of(landing.events, [&](const auto& e) {
        return made_mark(e, *next.dead_letter);
      });
  if (landing.dead_lettered) landing.error = next.dead_letter->last_error;
  if (with_correlation || landing.dead_lettered) landing.correlation = next.correlation;
  return landing;
}

void Meter::tick(domain::Instant now) {
  const domain::Duration passed = now - window_start_;
  if (passed < domain::Duration::seconds(1)) return;
  const double seconds = static_cast<double>(passed.us) / 1e6;
  for (std::size_t index = 0; index < totals_.stages.size(); ++index) {
    StageStatistics& stage = totals_.stages[index];
    Window& window = windows_[index];
    stage.completed_per_second =
        static_cast<double>(stage.completed - window.completed_before) / seconds;
    stage.failed_per_second = static_cast<double>(stage.failed - window.failed_before) / seconds;
    window = {stage.completed, stage.failed};
  }
  window_start_ = now;
}

void Meter::placed(const domain::TenantId& tenant, PlaceOutcome outcome) {
  totals_.accepts[static_cast<std::size_t>(outcome)] += 1;
  const bool accepted = outcome == PlaceOutcome::accepted || outcome == PlaceOutcome::replayed;
  auto found = tenants_.find(tenant);
  // Only an accepted order makes a tenant known here, so that refused names cost no memory.
  if (found == tenants_.end() && accepted && tenants_.size() < domain::limits::kMaxTenants) {
    found = tenants_.emplace(tenant, TenantCounts{}).first;
  }
  TenantCounts& counts = found == tenants_.end() ? untracked_ : found->second;
  (accepted ? counts.accepted : counts.denied) += 1;
}

void Meter::landed(const Landing& landing) {
  domain::Instant since = landing.since;
  for (const domain::Event& event : landing.events) {
    count_event(event, event.at - since);
    if (event.from != event.to) since = event.at;
  }
  if (landing.dead_lettered) totals_.dead_lettered += 1;
  if (domain::is_terminal(landing.status) && !landing.events.empty()) {
    totals_.ended[static_cast<std::size_t>(landing.status)] += 1;
    totals_.end_to_end.add(landing.events.back().at - landing.created_at);
  }
}

void Meter::count_event(const domain::Event& event, domain::Duration in_stage) {
  if (!event.from) {
    stage(Stage::ingest).completed += 1;
    return;
  }
  const bool moved = event.from != event.to;
  const bool backwards = event.to == Status::cancelling || event.to == Status::cancelled;
  StageStatistics& counted = stage(event.stage);
  // What was cancelled ended where it waited: for its stock, or for its money to be settled. The
  // event of a request names ingest, which the order has left.
  if (event.to == Status::cancelled) stage(*domain::stage_of(*event.from)).completed += 1;
  if (moved && !backwards) {
    counted.completed += 1;
    counted.latency.add(in_stage);
  } else if (event.reason == domain::Reason::payment_declined ||
             event.reason == domain::Reason::fulfillment_refused ||
             (!moved && event.attempt > 0 && event.reason != domain::Reason::dead_lettered)) {
    counted.failed += 1;
  }
}

void Meter::effect(domain::EffectKind kind, domain::OutcomeKind outcome) {
  totals_.effects[static_cast<std::size_t>(kind)][static_cast<std::size_t>(outcome)] += 1;
}

void Meter::notified(std::size_t orders) {
  stage(Stage::notification).completed += orders;
}

void Meter::delivery(bool delivered) {
  (delivered ? totals_.deliveries_done : totals_.deliveries_failed) += 1;
  if (!delivered) stage(Stage::notification).failed += 1;
}

Statistics Meter::snapshot() const {
  Statistics result = totals_;
  std::vector<TenantStatistics> all;
  all.reserve(tenants_.size());
  for (const auto& [tenant, counts] : tenants_) {
    all.push_back({tenant, counts.accepted, counts.denied});
  }
  const auto busier = [](const TenantStatistics& left, const TenantStatistics& right) {
    const auto left_sum = left.accepted + left.denied;
    const auto right_sum = right.accepted + right.denied;
    return left_sum != right_sum ? left_sum > right_sum : left.tenant < right.tenant;
  };
  const std::size_t top = std::min(kTopTenants, all.size());
  std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(top), busier);
  result.other_tenants = {{}, untracked_.accepted, untracked_.denied};
  for (std::size_t index = top; index < all.size(); ++index) {
    result.other_tenants.accepted += all[index].accepted;
    result.other_tenants.denied += all[index].denied;
  }
  all.resize(top);
  result.top_tenants = std::move(all);
  return result;
}

}  // namespace penstock::pipeline
