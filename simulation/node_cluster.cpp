#include "simulation/node_cluster.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace penstock::simulation {

using domain::Duration;
using domain::Stage;

namespace {

constexpr pipeline::Stages kNoStage{.ingest = false,
                                    .inventory = false,
                                    .payment = false,
                                    .fulfillment = false,
                                    .notification = false};
constexpr std::array kStages{Stage::ingest, Stage::inventory, Stage::payment, Stage::fulfillment,
                             Stage::notification};
constexpr std::size_t kFewest = 2;

bool runs(const pipeline::Stages& stages, Stage stage) {
  switch (stage) {
    case Stage::ingest:
      return stages.ingest;
    case Stage::inventory:
      return stages.inventory;
    case Stage::payment:
      return stages.payment;
    case Stage::fulfillment:
      return stages.fulfillment;
    case Stage::notification:
      return stages.notification;
  }
  return false;
}

pipeline::Stages only(Stage stage) {
  pipeline::Stages stages = kNoStage;
  switch (stage) {
    case Stage::ingest:
      stages.ingest = true;
      break;
    case Stage::inventory:
      stages.inventory = true;
      break;
    case Stage::payment:
      stages.payment = true;
      break;
    case Stage::fulfillment:
      stages.fulfillment = true;
      break;
    case Stage::notification:
      stages.notification = true;
      break;
  }
  return stages;
}

SharedDatabaseOptions database_options_of(const Scenario& scenario, Flaw flaw) {
  return {.max_active = static_cast<std::size_t>(scenario.store.max_active),
          .idempotency_retention = span_of_seconds(scenario.policy.idempotency_retention_seconds),
          .lease = span_of_seconds(scenario.cluster.lease_seconds),
          .flaw = flaw};
}

/// How far the nodes' clocks may be off: much less than a charge key lives, as in any cluster.
Duration clock_error_of(const Scenario& scenario) {
  Duration most = span_of_ms(scenario.cluster.clock_skew_ms);
  if (scenario.clock.jumps > 0) {
    most = std::max(most, span_of_seconds(scenario.clock.jump_seconds));
  }
  return std::min(most, span_of_seconds(scenario.policy.gateway_key_retention_seconds / 8));
}

}  // namespace

std::vector<pipeline::Stages> drawn_layout(RandomStream& random, const ClusterFaults& faults) {
  const auto fronts = std::max(kFewest, static_cast<std::size_t>(faults.nodes));
  const auto workers = std::max(kFewest, static_cast<std::size_t>(faults.workers));
  std::vector<pipeline::Stages> layout;
  switch (random.below(4)) {
    case 0:  // everything everywhere
      layout.assign(fronts, pipeline::Stages{});
      break;
    case 1:  // fronts that reserve, workers for the rest
      layout.assign(fronts, kNoStage);
      for (pipeline::Stages& front : layout) front.ingest = front.inventory = true;
      for (const Stage stage : {Stage::payment, Stage::fulfillment, Stage::notification}) {
        layout.insert(layout.end(), workers, only(stage));
      }
      break;
    case 2: {  // each stage its own
      layout.assign(fronts, only(Stage::ingest));
      layout.insert(layout.end(), workers, only(Stage::inventory));
      layout.insert(layout.end(), workers, only(Stage::payment));
      pipeline::Stages last = only(Stage::fulfillment);
      last.notification = true;
      layout.insert(layout.end(), kFewest, last);
      break;
    }
    default: {  // some that do everything, helped by workers where it hurts
      layout.assign(kFewest, pipeline::Stages{});
      layout.insert(layout.end(), workers - 1, only(Stage::payment));
      layout.push_back(only(Stage::notification));
      break;
    }
  }
  return layout;
}

NodeCluster::NodeCluster(Surroundings& around, Peers& peers, Flaw flaw)
    : around_(around),
      random_(around.seed, "cluster"),
      queues_(around.seed, "wake-ups"),
      database_clock_(around.timeline),
      database_(database_options_of(around.scenario, flaw),
                [this] { return database_clock_.now(); }),
      commons_{.database = database_, .peers = peers} {
  database_.set_observer(this);
  database_.set_probes(&around.probes);
  const ClusterFaults& faults = around.scenario.cluster;
  wake_ups_ = random_.chance(0.5) ? WakeUps::one : WakeUps::all;
  const Duration interval =
      random_.between(Duration::milliseconds(20), Duration::milliseconds(500));
  commons_.clock_error = clock_error_of(around.scenario);
  const Duration skew = std::min(commons_.clock_error, span_of_ms(faults.clock_skew_ms));
  // Between a decision and its request at the gateway a node may hang several times over.
  const std::int64_t hangs = 20 * span_of_ms(faults.delay_ms).us + Duration::seconds(5).us;
  peers.gateway.allow_for_clock_error({2 * commons_.clock_error.us + hangs});
  std::uint32_t number = 0;
  for (const pipeline::Stages& stages : drawn_layout(random_, faults)) {
    NodeOptions options;
    options.number = ++number;
    options.stages = stages;
    options.skew = random_.between(Duration{-skew.us}, skew);
    options.poll_interval = interval;
    if (random_.chance(faults.slow_node)) {
      options.cycle = random_.between(Duration::milliseconds(2), Duration::milliseconds(20));
    }
    nodes_.push_back(std::make_unique<NodeProcess>(around_, commons_, options));
  }
}

void NodeCluster::start() {
  for (const auto& node : nodes_) node->start();
}

NodeProcess* NodeCluster::any_front() {
  std::vector<NodeProcess*> fronts;
  for (const auto& node : nodes_) {
    if (node->running() && node->stages().ingest) fronts.push_back(node.get());
  }
  return fronts.empty() ? nullptr : random_.pick(fronts);
}

std::optional<checker::ProcessId> NodeCluster::submit(pipeline::Request request) {
  NodeProcess* const node = any_front();
  if (node == nullptr) return std::nullopt;
  // A repeat that finds its order was answered by another node than the one that took it.
  if (auto* place = std::get_if<pipeline::PlaceOrder>(&request)) {
    place->done = [this, number = node->id().number,
                   done = std::move(place->done)](pipeline::PlaceResult result) mutable {
      if (result.outcome == pipeline::PlaceOutcome::replayed) {
        const auto first = accepted_by_.find(result.order->id);
        const bool elsewhere = first != accepted_by_.end() && first->second != number;
        if (elsewhere) around_.hit(Probe::replayed_across_nodes);
      }
      done(std::move(result));
    };
  }
  if (!node->submit(std::move(request))) return std::nullopt;
  return node->id();
}

const ports::OrderReader* NodeCluster::reader() {
  const NodeProcess* const node = any_front();
  return node == nullptr ? nullptr : node->reader();
}

// --- Commits and wake-ups --------------------------------------------------------------------

void NodeCluster::before_commit(const NodeRun& from, std::span<const ports::Command> commands,
                                domain::Now now) {
  tap_.emplace(commands);
  committing_ = from;
  committing_at_ = now;
}

void NodeCluster::after_commit(std::span<const ports::CommandResult> results) {
  const TapSource source{.disk = database_.disk(), .reader = database_.reader(), .depth = [this] {
                           return database_.depth();
                         }};
  const TapListener listener = [this](const checker::OccurrencePointer& what) {
    if (const auto* committed = what.get_if<checker::CommittedView>()) look_at(*committed);
    around_.tell(what);
  };
  tap_->tell({results, committing_at_, {committing_.node}}, source, told_, around_, listener);
}

void NodeCluster::look_at(const checker::CommittedView& committed) {
  const domain::Order& order = committed.order;
  accepted_by_.try_emplace(order.id, committed.process.number);
  wake_stage(domain::stage_of(order.status).value_or(Stage::notification));
}

void NodeCluster::wake_stage(Stage stage) {
  std::vector<NodeProcess*> targets;
  for (const auto& node : nodes_) {
    if (!node->lost() && runs(node->stages(), stage)) targets.push_back(node.get());
  }
  if (targets.empty()) return;
  // Without faults a message to a node that is not there comes again elsewhere: to all, then.
  if (wake_ups_ == WakeUps::one && around_.faulty()) return send_wake_up(*random_.pick(targets));
  for (NodeProcess* const target : targets) send_wake_up(*target);
}

void NodeCluster::send_wake_up(NodeProcess& node) {
  const ClusterFaults& faults = around_.scenario.cluster;
  if (queues_.chance(around_.risk(faults.lose_wakeup))) return around_.hit(Probe::lost_wakeup);
  int copies = 1;
  if (queues_.chance(around_.risk(faults.double_wakeup))) {
    around_.hit(Probe::double_wakeup);
    copies = 2;
  }
  for (; copies > 0; --copies) {
    Duration way = queues_.between(Duration{50}, Duration{2'000});
    if (queues_.chance(around_.risk(faults.delay_wakeup))) {
      way.us += queues_.between(Duration{0}, Duration::seconds(2)).us;
    }
    around_.timeline.after(way, [&node] { node.wake(); });
  }
}

// --- Misfortunes -----------------------------------------------------------------------------

void NodeCluster::start_misfortunes() {
  for (const auto& node : nodes_) node->start_misfortunes();
  lose_some_nodes();
  now_and_then(around_.scenario.cluster.database_restarts, [this] { restart_database(); });
}

void NodeCluster::now_and_then(double times_a_second, std::function<void()> act) {
  if (times_a_second <= 0) return;
  const Duration mean = span_of_seconds(1 / times_a_second);
  around_.timeline.after(random_.between(Duration{0}, Duration{mean.us * 2}),
                         [this, times_a_second, act = std::move(act)]() mutable {
                           if (!around_.faulty()) return;
                           act();
                           now_and_then(times_a_second, std::move(act));
                         });
}

void NodeCluster::lose_some_nodes() {
  for (const auto& node : nodes_) {
    if (!random_.chance(around_.scenario.cluster.lost_nodes)) continue;
    const Duration when = random_.between(Duration{0}, Duration::seconds(3));
    around_.timeline.after(when, [this, lost = node.get()] {
      if (around_.faulty() && others_can_do_without(*lost)) lost->lose();
    });
  }
}

bool NodeCluster::others_can_do_without(const NodeProcess& node) const {
  return std::ranges::all_of(kStages, [&](Stage stage) {
    return !runs(node.stages(), stage) || std::ranges::any_of(nodes_, [&](const auto& other) {
      return other.get() != &node && !other->lost() && runs(other->stages(), stage);
    });
  });
}

void NodeCluster::restart_database() {
  if (around_.timeline.now() < commons_.database_back_at) return;
  const Duration down = random_.between(
      Duration{1}, std::max(Duration{1}, span_of_ms(around_.scenario.cluster.database_down_ms)));
  around_.trace.note("the database is down for {} us", down.us);
  around_.hit(Probe::database_restarted);
  commons_.database_back_at = around_.timeline.now() + down;
  commons_.database_starts += 1;
  const bool machine = random_.chance(around_.risk(around_.scenario.crash.machine));
  if (machine) database_clock_.machine_started();
  database_.restart(machine ? SharedDatabase::Boot::another : SharedDatabase::Boot::same);
}

void NodeCluster::clear_up() {
  commons_.database_back_at = around_.timeline.now();
  for (const auto& node : nodes_) node->clear_up();
}

bool NodeCluster::at_rest() const {
  const ports::StoreDepth depth = database_.depth();
  return depth.active == 0 && depth.deliveries == 0 && depth.terminal_batches == 0 &&
         std::ranges::all_of(nodes_, [](const auto& node) { return node->at_rest(); });
}

std::uint64_t NodeCluster::crashes() const {
  std::uint64_t all = 0;
  for (const auto& node : nodes_) all += node->crashes();
  return all;
}

}  // namespace penstock::simulation
