#pragma once

#include <cstdint>

#include "checker/report.h"
#include "domain/order.h"

namespace penstock::checker {

/// How often a stage is tried before its order is dead-lettered (semantics 4): three tries.
inline constexpr int kMaxAttempts = 3;

/// Replays the tries of every run of a stage - since the order entered its status, or was redriven
/// there - from the timeline alone: they count from one and start again with each run, none follows
/// the last that is allowed or a permanent error, what ended its process does not run on, and an
/// open dead letter says what its run said. Findings go to `report` under the order's id. Pure.
void check_attempts(const domain::Order& order, int max_attempts, Report& report);

/// How many failures of its peers a record claims to have been told of.
struct ClaimedFailures {
  std::uint32_t of_charges = 0;        ///< that may pass
  std::uint32_t rejected_charges = 0;  ///< for good
  std::uint32_t of_handovers = 0;
  std::uint32_t refused_handovers = 0;
};
ClaimedFailures claimed_failures(const domain::Order& order);

}  // namespace penstock::checker
