#include <algorithm>

#include "pipeline/step_loop.h"

// What is told of the orders in hand: of one, of those without an answer, of a stage and its peer.
namespace penstock::pipeline {

using domain::Stage;

domain::Trouble StepLoop::trouble(Stage stage) const {
  const StagePause& pause = pauses_[static_cast<std::size_t>(stage)];
  return pause.is_away() ? pause.trouble() : domain::Trouble::none;
}

std::optional<domain::Instant> StepLoop::longest_wait(Stage stage) const {
  std::optional<domain::Instant> longest;
  for (const auto& [order, limbo] : limbo_) {
    if (limbo.stage != stage) continue;
    if (!longest || limbo.waits_since < *longest) longest = limbo.waits_since;
  }
  return longest;
}

Progress StepLoop::progress(const domain::OrderId& order, std::optional<Stage> stage) const {
  Progress result;
  for (const auto& [ticket, flight] : in_flight_) {
    if (flight.order.id != order) continue;
    result.in_flight = true;
    result.effect = flight.kind;
    result.since = flight.since;
  }
  if (const auto found = limbo_.find(order); found != limbo_.end()) {
    result.unanswered = found->second.unanswered;
    result.failures = found->second.failures;
    result.trouble = found->second.trouble;
    result.detail = found->second.detail;
    if (!result.in_flight) result.next_try = found->second.next_try;
  }
  if (!stage) return result;
  result.runs_elsewhere = !runs(*stage);
  result.careful_run = careful_.careful();
  const StagePause& pause = pauses_[static_cast<std::size_t>(*stage)];
  if (!pause.is_away()) return result;
  result.peer_away_since = pause.since();
  result.peer_next_try = pause.until();
  if (result.detail.empty()) result.detail = pause.detail();
  if (result.trouble == domain::Trouble::none) result.trouble = pause.trouble();
  return result;
}

std::size_t StepLoop::unresolved_count() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(limbo_, [](const auto& entry) { return entry.second.unanswered > 0; }));
}

std::vector<Unresolved> StepLoop::unresolved(std::size_t limit) const {
  std::vector<Unresolved> all;
  all.reserve(limbo_.size());
  for (const auto& [order, limbo] : limbo_) {
    if (limbo.unanswered == 0) continue;
    all.push_back({order, limbo.tenant, limbo.since, limbo.unanswered});
  }
  std::ranges::sort(all, {}, &Unresolved::since);
  if (all.size() > limit) all.resize(limit);
  return all;
}

}  // namespace penstock::pipeline
