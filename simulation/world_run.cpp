#include "simulation/world_run.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "adapters/memory/memory_store.h"

namespace penstock::simulation {
namespace {

using domain::Duration;

/// Faults go on for so long at most after the last client was content.
constexpr Duration kFaultyAfterwards = Duration::seconds(20);
/// Faults stop at the latest then, content or not: while they last nobody is promised an answer. (A
/// process whose wall clock is set back again and again is slow with all its timers.)
constexpr Duration kFaultyAtMost = Duration::hours(1);
/// From here on a key outlives its answer's way by far.
constexpr double kSecondsOfALongKey = 86'400;

class WorldRun {
 public:
  WorldRun(const RunOptions& options, const checker::HistoryOptions& history,
           const MakeServers& make_servers)
      : options_(options),
        trace_(timeline_, options.trace),
        history_(history),
        around_{.seed = options_.seed,
                .scenario = options_.scenario,
                .timeline = timeline_,
                .trace = trace_,
                .probes = probes_,
                .history = history_,
                .weather = Weather::faulty,
                .defect = options_.defect},
        peers_(around_),
        servers_(make_servers(around_, peers_)),
        clients_(around_, *servers_),
        random_(options_.seed, "world") {}

  RunResult run() {
    servers_->start();
    servers_->start_misfortunes();
    clients_.start();
    run_faulty();
    if (!finding_) run_kind();
    if (!finding_) judge_the_end();
    return result();
  }

 private:
  bool goes_on() {
    if (!history_.so_far().findings.empty()) {
      found(Verdict::safety, history_.so_far().findings.front());
    } else if (timeline_.steps() > static_cast<std::uint64_t>(options_.scenario.bounds.max_steps)) {
      found(Verdict::liveness, "the world does not come to rest within its steps");
    }
    return !finding_;
  }
  void found(Verdict verdict, std::string finding) {
    verdict_ = verdict;
    finding_ = std::move(finding);
  }
  void found(Verdict verdict, const checker::Finding& finding) {
    found(verdict, fmt::format("{}: {}: {}", checker::to_string(finding.invariant), finding.subject,
                               finding.detail));
  }

  void run_faulty() {
    while (goes_on() && !clients_.done() && timeline_.elapsed() < kFaultyAtMost) {
      if (!timeline_.run_next()) return found(Verdict::liveness, "a client waits for ever");
    }
    const domain::Instant until = timeline_.now() + random_.between(Duration{0}, kFaultyAfterwards);
    timeline_.at(until, [this] { clear_up(); });
    while (around_.faulty() && goes_on()) timeline_.run_next();
  }

  void clear_up() {
    trace_.note("faults stop");
    around_.weather = Weather::kind;
    clients_.stop_operators();
    around_.tell(checker::FaultsStopped{});
    servers_->clear_up();
  }

  // At rest nothing is scheduled any more: no late request, no retry, no hold.
  void run_kind() {
    const domain::Instant until =
        timeline_.now() + span_of_seconds(options_.scenario.bounds.settle_hours * 3'600);
    while (goes_on() && timeline_.run_next()) {
      if (timeline_.now() <= until) continue;
      return found(Verdict::liveness, "the world does not come to rest within its hours");
    }
    if (finding_) return;
    if (!clients_.done()) return found(Verdict::liveness, "a client waits for ever");
    if (!servers_->at_rest()) found(Verdict::liveness, "a server waits for something for ever");
  }

  void judge_the_end() {
    const memory_store::MemoryDisk& disk = servers_->disk();
    for (const auto& [id, stored] : disk.orders) {
      history_.add_final_order(stored.order, stored.receipt.empty()
                                                 ? checker::ReceiptPresence::absent
                                                 : checker::ReceiptPresence::present);
      judge_handover_and_copy(stored);
      if (!stored.deliveries.empty() &&
          stored.deliveries.back().reason == domain::Reason::delivery_gave_up) {
        history_.add_final_delivery(id, checker::FinalDelivery::gave_up);
      }
    }
    if (finding_) return;
    const ports::OrderReader& reader = servers_->stored();
    for (const auto& [key, totals] : disk.stock) {
      if (const auto stock = reader.stock(key.first, key.second); stock && *stock) {
        history_.add_final_stock(key.first, key.second, **stock);
      }
    }
    for (const auto& [name, record] : disk.idempotency) {
      history_.add_final_key(name.first, name.second, record);
    }
    history_.add_final_depths({});
    const checker::Report report = history_.finish(checker::Quiescence::reached, servers_->wall());
    if (report.clean()) return;
    const checker::Finding& first = report.findings.front();
    const bool live = checker::number_of(first.invariant) == 5;
    found(live ? Verdict::liveness : Verdict::safety, first);
  }

  /// What only this world sees: the fulfiller's own table and the copies of receipts.
  void judge_handover_and_copy(const ports::StoredOrder& stored) {
    const domain::Order& order = stored.order;
    if (order.status != domain::Status::fulfilled || finding_) return;
    if (options_.scenario.fulfiller.hook && !peers_.fulfiller.accepted(order.id)) {
      found(Verdict::safety, order.id.str() + " is fulfilled, and the fulfiller never accepted it");
    } else if (options_.scenario.notification.receipts &&
               peers_.copies.copy_of(order.id) != stored.receipt) {
      found(Verdict::liveness, order.id.str() + " has no copy of its receipt");
    }
  }

  RunResult result() {
    RunResult result{.seed = options_.seed,
                     .verdict = verdict_,
                     .finding = finding_.value_or(""),
                     .step = timeline_.steps(),
                     .digest = trace_.digest(),
                     .orders = servers_->disk().orders.size(),
                     .operations = static_cast<std::uint64_t>(clients_.operations()),
                     .commits = servers_->commits(),
                     .crashes = servers_->crashes(),
                     .virtual_time = timeline_.elapsed(),
                     .probes = probes_,
                     .last_lines = {}};
    if (finding_) result.last_lines = trace_.last_lines();
    return result;
  }

  RunOptions options_;
  Timeline timeline_;
  Trace trace_;
  ProbeCounts probes_;
  checker::History history_;
  Surroundings around_;
  Peers peers_;
  std::unique_ptr<Servers> servers_;
  Clients clients_;
  RandomStream random_;
  Verdict verdict_ = Verdict::clean;
  std::optional<std::string> finding_;
};

}  // namespace

pipeline::PipelineOptions pipeline_options_of(const Scenario& scenario) {
  const Policy& policy = scenario.policy;
  pipeline::PipelineOptions options;
  options.max_batch = static_cast<std::size_t>(policy.max_batch);
  options.saga.max_attempts = static_cast<int>(policy.max_attempts);
  options.saga.backoff = {.base = span_of_ms(policy.backoff_base_ms),
                          .cap = span_of_ms(policy.backoff_cap_ms)};
  options.saga.gateway_key_retention = span_of_seconds(policy.gateway_key_retention_seconds);
  options.saga.dead_letter_hold = span_of_seconds(policy.dead_letter_hold_seconds);
  return options;
}

checker::HistoryOptions history_options_of(const Scenario& scenario) {
  checker::HistoryOptions options;
  options.default_contract = memory_store::MemoryStoreOptions{}.default_contract.bucket;
  options.failures = checker::FailureFeed::followed;
  options.max_attempts = static_cast<int>(scenario.policy.max_attempts);
  options.dead_letter_hold = span_of_seconds(scenario.policy.dead_letter_hold_seconds);
  options.key_retention = span_of_seconds(scenario.policy.idempotency_retention_seconds);
  // A wall clock that jumped ahead lets keys expire before their time, and an answer takes its time
  // to a client: of short lives only the store's own record tells.
  if (scenario.clock.jumps > 0) options.key_retention = Duration::hours(1);
  if (scenario.policy.idempotency_retention_seconds < kSecondsOfALongKey) {
    options.key_retention = {};
  }
  return options;
}

RunResult run_world(const RunOptions& options, const checker::HistoryOptions& history,
                    const MakeServers& make_servers) {
  return WorldRun(options, history, make_servers).run();
}

}  // namespace penstock::simulation
