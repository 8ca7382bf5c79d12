#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "domain/saga.h"
#include "ports/order_store.h"

namespace penstock::pipeline {

/// Durations in fixed buckets; `counts[i]` holds those <= kBounds[i], the last those above all.
struct Histogram {
  static constexpr std::array<std::int64_t, 16> kBoundsUs{
      1'000,   2'500,     5'000,     10'000,    25'000,     50'000,     100'000,    250'000,
      500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000, 300'000'000};
  std::array<std::uint64_t, 17> counts{};
  std::int64_t sum_us = 0;
  std::uint64_t count = 0;

  void add(domain::Duration value);
};

struct StageStatistics {
  ports::StageDepth depth;
  std::size_t in_flight = 0;        ///< effects without an answer
  std::uint64_t completed = 0;      ///< orders that left the stage forwards or ended in it
  std::uint64_t failed = 0;         ///< failed attempts, declines, refusals
  double completed_per_second = 0;  ///< over the last whole second
  double failed_per_second = 0;
  domain::Duration oldest_age;
  bool paused = false;                              ///< its peer is away, or a bound was reached
  domain::Trouble trouble = domain::Trouble::none;  ///< why its peer is away
  Histogram latency;                                ///< from entering the stage to leaving it
};

struct TenantStatistics {
  domain::TenantId tenant;
  std::uint64_t accepted = 0;
  std::uint64_t denied = 0;
};

/// Counters since the start, and depths now. A plain copy.
struct Statistics {
  std::array<StageStatistics, domain::kStages + 1> stages;  ///< by Stage's number
  std::array<std::uint64_t, 8> ended{};                     ///< by terminal Status's number
  std::array<std::uint64_t, 8> accepts{};                   ///< by PlaceOutcome's number
  std::array<std::array<std::uint64_t, 8>, 7> effects{};    ///< by EffectKind, by OutcomeKind
  std::uint64_t commits = 0;                                ///< group commits
  std::uint64_t commands = 0;                               ///< commands in them
  std::uint64_t stale_commits = 0;
  std::uint64_t dead_lettered = 0;
  std::uint64_t deliveries_done = 0;
  std::uint64_t deliveries_failed = 0;
  std::uint64_t deliveries_gave_up = 0;
  std::uint64_t receipt_copies_made = 0;
  std::uint64_t receipt_copies_failed = 0;
  Histogram end_to_end;  ///< created to terminal
  std::size_t active = 0;
  std::size_t owed_refunds = 0;
  std::size_t unresolved = 0;
  std::size_t deliveries_waiting = 0;
  /// Tenants whose charges are held back by their share of dead letters or owed refunds.
  std::size_t tenants_held_back = 0;
  std::size_t endpoints_failing = 0;
  std::size_t receipt_copies_waiting = 0;
  domain::Duration receipt_copies_age;  ///< how long the oldest of them waits
  std::size_t open_dead_letters = 0;
  /// The tenants with the most requests, at most kTopTenants, and the sum of all others.
  std::vector<TenantStatistics> top_tenants;
  TenantStatistics other_tenants;
};

inline constexpr std::size_t kTopTenants = 20;

}  // namespace penstock::pipeline
