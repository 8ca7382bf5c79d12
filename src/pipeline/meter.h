#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "domain/order.h"
#include "domain/saga.h"
#include "pipeline/request.h"
#include "pipeline/statistics.h"

namespace penstock::pipeline {

/// What a commit changed, kept while the batch is on its way and told once it is durable.
struct Landing {
  domain::OrderId order;
  domain::TenantId tenant;
  domain::CorrelationId correlation;  ///< filled only where something will be logged
  domain::Instant created_at;
  domain::Status status = domain::Status::placed;
  domain::Instant since;              ///< when the order entered the status it was read in
  std::vector<domain::Event> events;  ///< the new ones
  bool dead_lettered = false;         ///< the mark is new
  domain::Reason error = domain::Reason::none;  ///< what it was dead-lettered for
  std::shared_ptr<const domain::Order> ended;   ///< where the order ended and somebody waits for it
};

/// The landing of `next` when it was read at `read`.
Landing landing_of(const domain::Order& next, domain::Version read, bool with_correlation);

/// Counts what happened. One thread.
class Meter {
 public:
  /// Moves the per-second windows on.
  void tick(domain::Instant now);

  void placed(const domain::TenantId& tenant, PlaceOutcome outcome);
  void landed(const Landing& landing);
  void effect(domain::EffectKind kind, domain::OutcomeKind outcome);
  void notified(std::size_t orders);
  void delivery(bool delivered);
  void delivery_gave_up() { totals_.deliveries_gave_up += 1; }
  void receipt_copy(bool made) {
    (made ? totals_.receipt_copies_made : totals_.receipt_copies_failed) += 1;
  }
  void stale_commit() { totals_.stale_commits += 1; }

  /// The counters, with the top tenants chosen; depths are the caller's to fill.
  Statistics snapshot() const;

 private:
  struct Window {
    std::uint64_t completed_before = 0;
    std::uint64_t failed_before = 0;
  };
  struct TenantCounts {
    std::uint64_t accepted = 0;
    std::uint64_t denied = 0;
  };

  StageStatistics& stage(domain::Stage stage) {
    return totals_.stages[static_cast<std::size_t>(stage)];
  }
  void count_event(const domain::Event& event, domain::Duration in_stage);

  Statistics totals_;
  std::array<Window, domain::kStages + 1> windows_{};
  domain::Instant window_start_;
  std::unordered_map<domain::TenantId, TenantCounts> tenants_;
  TenantCounts untracked_;  ///< of tenants beyond kMaxTenants
};

}  // namespace penstock::pipeline
