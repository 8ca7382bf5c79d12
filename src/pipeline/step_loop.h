#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "domain/order.h"
#include "domain/saga.h"
#include "pipeline/careful_run.h"
#include "pipeline/charge_bounds.h"
#include "pipeline/commit_queue.h"
#include "pipeline/meter.h"
#include "pipeline/outage_log.h"
#include "pipeline/pipeline.h"
#include "pipeline/stage_pause.h"
#include "pipeline/stage_places.h"

namespace penstock::pipeline {

/// Drives orders through inventory, payment and fulfillment: claim, decide, effect, commit.
class StepLoop {
 public:
  /// `landed` is told every commit that became durable; with the order itself where it ended and
  /// `is_waited_for` said so of it when the commit was queued.
  StepLoop(Parts parts, const PipelineOptions& options, CommitQueue& commits, Meter& meter,
           std::function<void(const Landing&)> landed,
           std::function<bool(const domain::OrderId&)> is_waited_for, domain::Now now);

  /// Takes the replies that have arrived and decides what they make of their orders.
  void take_replies(domain::Now now);

  /// Claims due orders of each stage this process runs, decides, and sends the effects that are
  /// wanted. Call it right after a flush: what it claims is durable.
  void claim_and_send(domain::Now now);

  /// Queues the commit of `advance` as decided on `read`.
  void commit(domain::Version read, domain::Advance&& advance, Then&& then);

  /// True while effects are in flight or the last claim found something.
  bool busy() const { return !in_flight_.empty() || claimed_ > 0; }
  /// The last claim may have left something for want of room: call again without waiting.
  bool left_some() const { return left_some_; }
  std::optional<domain::Instant> next_due() const;

  std::size_t in_flight(domain::Stage stage) const {
    return in_flight_by_stage_[static_cast<std::size_t>(stage)];
  }
  bool paused(domain::Stage stage, domain::Instant now) const;
  /// Why the stage's peer is away; none while it answers.
  domain::Trouble trouble(domain::Stage stage) const;
  /// Since when the order has waited that an effect of the stage settled nothing for, the longest.
  std::optional<domain::Instant> longest_wait(domain::Stage stage) const;
  Progress progress(const domain::OrderId& order, std::optional<domain::Stage> stage) const;
  /// Tenants whose charges are held back by a bound; all without a contract count as one.
  std::size_t held_back() const { return bounds_.held_back(); }
  bool holds_back(const domain::TenantId& tenant) const { return bounds_.holds_back(tenant); }
  std::vector<Unresolved> unresolved(std::size_t limit) const;
  std::size_t unresolved_count() const;

 private:
  /// An effect that was sent and has not answered.
  struct InFlight {
    domain::Order order;
    domain::EffectKind kind = domain::EffectKind::charge;
    domain::Instant since;
    StagePlaces::Place place{};
  };
  /// An order whose effects settled nothing so far: without an answer, or with one that is no use.
  struct Limbo {
    domain::TenantId tenant;
    domain::Version version;       ///< of the order, as the last effect was asked for
    domain::Instant since;         ///< of the first effect without an answer
    std::uint32_t unanswered = 0;  ///< in a row
    std::uint32_t failures = 0;    ///< in a row, unanswered ones included; for the backoff
    domain::Instant next_try;
    domain::Stage stage = domain::Stage::payment;
    domain::Instant waits_since;  ///< of its last commit
    domain::Trouble trouble = domain::Trouble::none;
    std::string detail;         ///< of the last answer that was no use, for people
    domain::Instant looked_at;  ///< when it was last seen to be still this process's
  };
  /// Where a decision came from: what is needed to decide again if its commit is stale.
  struct Cause {
    std::optional<domain::EffectKind> effect;
    domain::Outcome outcome;
    std::uint16_t generation = 0;  ///< of the charge key that the effect was about
    bool holds_lease = true;
  };

  bool runs(domain::Stage stage) const;
  domain::Moment moment(domain::Now now) { return {now.wall, parts_.random.next()}; }
  std::size_t room(domain::Stage stage, domain::Now now) const;

  void reply(std::uint64_t ticket, domain::Outcome outcome, domain::Now now);
  void settle(InFlight&& flight, domain::Outcome&& outcome, domain::Now now);
  bool has_moved(const domain::OrderId& order, domain::Version version) const;
  void forget_what_others_settled(domain::Now now);
  void note_answer(const InFlight& flight, const domain::Outcome& outcome);
  void proceed(domain::Order&& order, domain::Step&& step, Cause&& cause, domain::Now now);
  /// Goes as far as one commit may.
  void chain(domain::Advance& advance, domain::Now now);
  void commit_decided(domain::Version read, domain::Advance&& advance, Cause&& cause);
  void decide_again(const domain::Order& current, const Cause& cause);
  void want(domain::Order&& order, domain::Effect&& effect, domain::Now now);
  void send(domain::Now now);
  void claim_stage(domain::Stage stage, domain::Now now);
  void step_claimed(domain::Order&& order, domain::Now now);
  std::vector<domain::Order> marked(std::vector<domain::Order> claimed, domain::Stage stage,
                                    domain::Now now);
  void add_running(const domain::OrderId& order);

  Parts parts_;
  const PipelineOptions& options_;
  CommitQueue& commits_;
  Meter& meter_;
  std::function<void(const Landing&)> landed_;
  std::function<bool(const domain::OrderId&)> is_waited_for_;

  // Only in a careful run:
  CarefulRun careful_;
  std::vector<domain::OrderId> running_;     ///< marked: being decided, sent or committed
  std::vector<domain::OrderId> committing_;  ///< of those, with a commit that waits for its flush
  bool alone_ = false;                       ///< one runs alone: nothing else is claimed
  /// The stage whose order gave way and is to run alone: what is in flight runs out first.
  std::optional<domain::Stage> lonely_stage_;
  domain::Instant gave_way_until_;

  std::uint64_t next_ticket_ = 1;
  std::unordered_map<std::uint64_t, InFlight> in_flight_;
  std::array<std::size_t, domain::kStages + 1> in_flight_by_stage_{};
  std::unordered_map<domain::OrderId, Limbo> limbo_;
  domain::Instant limbo_looked_at_;
  std::array<StagePause, domain::kStages + 1> pauses_{};
  OutageLog outages_;
  std::size_t claimed_ = 0;
  bool left_some_ = false;  ///< a claim was filled, or something gave way in a careful run
  StagePlaces places_;
  ChargeBounds bounds_;
  domain::Now now_;  ///< of the present poll, for decisions made when a commit turns out stale

  std::vector<ports::GatewayRequest> gateway_requests_;
  std::vector<ports::GatewayReply> gateway_replies_;
  std::vector<ports::FulfillmentRequest> fulfillment_requests_;
  std::vector<ports::FulfillmentReply> fulfillment_replies_;
};

}  // namespace penstock::pipeline
