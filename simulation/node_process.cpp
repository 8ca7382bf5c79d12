#include "simulation/node_process.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "domain/check.h"

namespace penstock::simulation {

using domain::Duration;
using domain::Instant;

namespace {

constexpr Duration kShortestDowntime = Duration::milliseconds(1);
/// Before a process that cannot reach the database at its start tries again.
constexpr Duration kConnectAgain = Duration::milliseconds(50);
/// How far the interval between polls that find nothing grows: while faults happen, and after.
constexpr Duration kLongestInterval = Duration::seconds(2);
constexpr Duration kLongestKindInterval = Duration::hours(1);
/// A node that hung or stood still gets something done before it does so again: for as long as that
/// took, and not less than this.
constexpr Duration kShortestRespite = Duration::milliseconds(200);
/// Of lost messages to the database, how many its sender knows never left; of lost answers, how
/// many belong to a request that is still on its way.
constexpr double kKnownLost = 0.5;
constexpr double kStillUnderWay = 0.3;

}  // namespace

struct NodeProcess::Process {
  explicit Process(NodeProcess& node)
      : client(node.commons_.database, node.commons_.database.start_run(node.options_.number),
               &node, writing_of(node.around_.scenario.cluster)),
        gateway(
            node.commons_.peers.gateway, [&node] { node.wake(); },
            [&node] { node.maybe_crash_sending(); }, [] { throw Crash{Probe::poison_order}; }),
        fulfiller(
            node.commons_.peers.fulfiller, [&node] { node.wake(); },
            [&node] { node.maybe_crash_sending(); }),
        notifier(node.commons_.peers.receivers, [&node] { node.wake(); }),
        copies(node.commons_.peers.copies, [&node] { node.wake(); }),
        pipeline(
            pipeline::Parts{
                .store = client,
                .reader = client,
                .gateway = gateway,
                .log = node.log_,
                .random = node.random_,
                .fulfiller = node.around_.scenario.fulfiller.hook ? &fulfiller : nullptr,
                .notifier = &notifier,
                .receipts = node.around_.scenario.notification.receipts ? &copies : nullptr},
            options_of(node), node.clock_.now()) {}

  static Writing writing_of(const ClusterFaults& cluster) {
    using postgres_store::Holding;
    return {.holding = cluster.holding ? Holding::accepted : Holding::none,
            .least_split_batch = static_cast<std::size_t>(cluster.least_split_batch)};
  }

  static pipeline::PipelineOptions options_of(const NodeProcess& node) {
    pipeline::PipelineOptions options = pipeline_options_of(node.around_.scenario);
    options.stages = node.options_.stages;
    return options;
  }

  SharedStoreClient client;
  SimulatedGateway::Connection gateway;
  SimulatedFulfiller::Connection fulfiller;
  SimulatedReceivers::Connection notifier;
  SimulatedCopies::Connection copies;
  std::vector<pipeline::Request> inbox;
  pipeline::Pipeline pipeline;
};

NodeProcess::NodeProcess(Surroundings& around, NodeCommons& commons, NodeOptions options)
    : around_(around),
      commons_(commons),
      options_(options),
      random_(around.seed, fmt::format("node-{}", options.number)),
      fate_(around.seed, fmt::format("fate-{}", options.number)),
      clock_(around.timeline),
      log_(around.trace),
      interval_(options.poll_interval) {
  clock_.jump(options.skew);
}

NodeProcess::~NodeProcess() = default;

void NodeProcess::start() {
  starts_ += 1;
  if (lost_ || process_) return;
  if (!database_reachable()) {
    around_.timeline.after(kConnectAgain, [this, start = starts_] {
      if (start == starts_) this->start();
    });
    return;
  }
  clock_.process_started();
  process_ = std::make_unique<Process>(*this);
  const ports::Recovery recovery = process_->client.recovery();
  around_.trace.note("node {} starts: {} unclean, {} interrupted", options_.number,
                     recovery.unclean_ends, recovery.interrupted.size());
  if (crashes_ > 0) around_.hit(Probe::node_restarted);
  around_.tell(checker::Started{id()});
  interval_ = options_.poll_interval;
  wake();
}

void NodeProcess::lose() {
  around_.trace.note("node {} is lost", options_.number);
  around_.hit(Probe::node_lost);
  lost_ = true;
  if (!process_) return;
  if (polling_) {
    to_be_killed_ = true;
  } else {
    end(Probe::node_lost);
  }
}

void NodeProcess::clear_up() {
  standing_still_until_ = around_.timeline.now();
  cut_off_until_ = around_.timeline.now();
  interval_ = options_.poll_interval;
  if (!lost_ && !process_) start();
  wake();
}

bool NodeProcess::submit(pipeline::Request request) {
  if (!process_) return false;
  process_->inbox.push_back(std::move(request));
  wake();
  return true;
}

const ports::OrderReader* NodeProcess::reader() const {
  return process_ ? &process_->client : nullptr;
}

void NodeProcess::wake(Cause cause) {
  if (!process_) return;
  if (polling_) {
    woken_ = cause;
  } else {
    poll_at(last_poll_ + options_.cycle, cause);
  }
}

void NodeProcess::poll_at(Instant time, Cause cause) {
  time = std::max({time, around_.timeline.now(), standing_still_until_});
  if (next_poll_ && *next_poll_ <= time) return;
  next_poll_ = time;
  poll_number_ += 1;
  around_.timeline.at(time, [this, number = poll_number_, cause] {
    if (number != poll_number_) return;
    next_poll_.reset();
    poll(cause);
  });
}

void NodeProcess::poll(Cause cause) {
  if (!process_ || polling_) return;
  if (around_.timeline.now() < standing_still_until_) return poll_at(standing_still_until_, cause);
  last_poll_ = around_.timeline.now();
  const std::uint64_t claims = commons_.database.claims();
  const std::uint64_t commits = commons_.database.commits();
  polling_ = true;
  woken_.reset();
  std::optional<Probe> crash;
  try {
    for (pipeline::Request& request : process_->inbox) {
      process_->pipeline.submit(std::move(request));
    }
    process_->inbox.clear();
    process_->pipeline.poll(clock_.now());
  } catch (const Crash& thrown) {
    crash = thrown.where;
  }
  polling_ = false;
  if (!crash && std::exchange(to_be_killed_, false)) crash = Probe::crash_between_polls;
  if (crash) return end(*crash);
  PENSTOCK_CHECK(!process_->pipeline.failure(), "a shared store never stops");
  const bool claimed = commons_.database.claims() != claims;
  if (claimed && cause == Cause::interval) around_.hit(Probe::found_by_polling);
  look_for_next_poll(claimed || commons_.database.commits() != commits);
}

void NodeProcess::look_for_next_poll(bool found_work) {
  const Instant soonest = last_poll_ + options_.cycle;
  if (woken_) return poll_at(soonest, *woken_);
  if (!process_->inbox.empty()) return poll_at(soonest, Cause::asked_for);
  if (const auto wanted = process_->pipeline.next_due(clock_.now())) {
    poll_at(std::max(clock_.true_time_of(*wanted), soonest), Cause::asked_for);
  }
  const Duration longest = around_.faulty() ? kLongestInterval : kLongestKindInterval;
  interval_ =
      found_work ? options_.poll_interval : Duration{std::min(interval_.us * 2, longest.us)};
  if (!around_.faulty()) {
    // No wake-up gets lost; where nothing is left to find, nobody needs to look.
    const ports::StoreDepth depth = commons_.database.depth();
    if (depth.active == 0 && depth.terminal_batches == 0 && depth.deliveries == 0) return;
  }
  poll_at(last_poll_ + interval_, Cause::interval);
}

bool NodeProcess::at_rest() const {
  return lost_ || (process_ && process_->inbox.empty() && process_->pipeline.idle());
}

void NodeProcess::end(Probe where) {
  around_.trace.note("node {} ends: {}", options_.number, to_string(where));
  if (belongs_to(where, World::distributed) && where != Probe::node_lost) around_.hit(where);
  if (process_->client.held() > 0) around_.hit(Probe::held_at_crash);
  crashes_ += 1;
  to_be_killed_ = false;
  next_poll_.reset();
  poll_number_ += 1;
  process_.reset();
  around_.tell(checker::Crashed{id()});
  if (!lost_) start_after_a_while();
}

void NodeProcess::start_after_a_while() {
  const bool machine = fate_.chance(around_.risk(around_.scenario.crash.machine));
  const Duration downtime =
      fate_.between(kShortestDowntime,
                    std::max(kShortestDowntime, span_of_ms(around_.scenario.crash.downtime_ms)));
  starts_ += 1;
  around_.timeline.after(downtime, [this, machine, start = starts_] {
    if (machine && start == starts_) clock_.machine_started();
    if (start == starts_) this->start();
  });
}

// --- The road to the database ----------------------------------------------------------------

bool NodeProcess::database_reachable() const {
  const Instant now = around_.timeline.now();
  return now >= cut_off_until_ && now >= commons_.database_back_at;
}

Passage NodeProcess::leave(CallKind kind) {
  const Passage passage = misfortune(kind);
  if (passage == Passage::through || passage == Passage::slow_answer) return passage;
  around_.trace.note("node {} call {} goes {}", options_.number, static_cast<int>(kind),
                     static_cast<int>(passage));
  if (kind == CallKind::apply) {
    if (passage == Passage::refused) around_.hit(Probe::store_unavailable);
    if (passage == Passage::request_lost) around_.hit(Probe::unknown_commit_lost);
    if (passage == Passage::answer_lost) around_.hit(Probe::unknown_commit_landed);
  }
  if (kind == CallKind::claim && passage == Passage::answer_lost) {
    around_.hit(Probe::claim_answer_lost);
  }
  return passage;
}

Passage NodeProcess::misfortune(CallKind kind) {
  const ClusterFaults& faults = around_.scenario.cluster;
  if (!database_reachable()) {
    around_.hit(Probe::partitioned);
    return Passage::refused;
  }
  if (!around_.faulty()) return Passage::through;
  const bool in_process = polling_;
  if (in_process && kind == CallKind::apply && fate_.chance(around_.scenario.crash.before_commit)) {
    throw Crash{Probe::lost_batch};
  }
  if (fate_.chance(faults.lose_request)) {
    return fate_.chance(kKnownLost) ? Passage::refused : Passage::request_lost;
  }
  if (fate_.chance(faults.lose_reply)) {
    const bool late = kind == CallKind::apply && fate_.chance(kStillUnderWay);
    return late ? Passage::late : Passage::answer_lost;
  }
  // A read hangs nobody: it is over before anything else happens.
  const bool may_hang =
      in_process && kind != CallKind::read && around_.timeline.now() >= respite_until_;
  if (!may_hang || !fate_.chance(faults.delay)) return Passage::through;
  if (fate_.chance(0.5)) return Passage::slow_answer;
  const bool connected = hang(fate_.between(Duration{0}, span_of_ms(faults.delay_ms)));
  return connected ? Passage::through : Passage::request_lost;
}

Heard NodeProcess::arrived(CallKind kind, Passage passage) {
  const CrashFaults& crash = around_.scenario.crash;
  if (polling_ && kind == CallKind::apply && fate_.chance(around_.risk(crash.after_commit))) {
    throw Crash{Probe::landed_batch};
  }
  if (polling_ && kind == CallKind::mark && fate_.chance(around_.risk(crash.in_mark))) {
    throw Crash{Probe::crash_in_mark};
  }
  if (passage == Passage::slow_answer) {
    const Duration most = span_of_ms(around_.scenario.cluster.delay_ms);
    if (!hang(fate_.between(Duration{0}, most))) return Heard::no;
  }
  return Heard::yes;
}

void NodeProcess::carry_late(std::move_only_function<void()> call) {
  const Duration most = span_of_ms(around_.scenario.cluster.delay_ms);
  around_.timeline.after(fate_.between(Duration{1}, std::max(most, Duration{1})),
                         [this, call = std::move(call)]() mutable {
                           // A database that started again knows no old connection.
                           if (around_.timeline.now() < commons_.database_back_at) return;
                           around_.trace.note("a late call of node {} arrives", options_.number);
                           around_.hit(Probe::unknown_commit_late);
                           call();
                         });
}

// The others go on while this one hangs: leases end, and whoever kills it does so in the middle of
// its call. One at a time: who would hang meanwhile stands still after its poll instead.
bool NodeProcess::hang(Duration span) {
  const Instant until = around_.timeline.now() + span;
  if (commons_.hanging != nullptr) {
    standing_still_until_ = std::max(standing_still_until_, until);
    respite_until_ = standing_still_until_ + std::max(span, kShortestRespite);
    return true;
  }
  const std::uint64_t database_starts = commons_.database_starts;
  around_.trace.note("node {} hangs for {} us", options_.number, span.us);
  commons_.hanging = this;
  bool over = false;
  around_.timeline.at(until, [&over] { over = true; });
  while (!over && around_.timeline.run_next()) {
  }
  commons_.hanging = nullptr;
  respite_until_ = around_.timeline.now() + std::max(span, kShortestRespite);
  if (std::exchange(to_be_killed_, false)) throw Crash{Probe::crash_between_polls};
  return database_reachable() && commons_.database_starts == database_starts;
}

// --- Misfortunes -----------------------------------------------------------------------------

void NodeProcess::maybe_crash_sending() {
  if (fate_.chance(around_.risk(around_.scenario.crash.in_submit))) {
    throw Crash{Probe::crash_in_submit};
  }
}

void NodeProcess::now_and_then(double times_a_second, std::function<void()> act) {
  if (times_a_second <= 0) return;
  const Duration mean = span_of_seconds(1 / times_a_second);
  around_.timeline.after(fate_.between(Duration{0}, Duration{mean.us * 2}),
                         [this, times_a_second, act = std::move(act)]() mutable {
                           if (!around_.faulty() || lost_) return;
                           act();
                           now_and_then(times_a_second, std::move(act));
                         });
}

void NodeProcess::start_misfortunes() {
  const ClusterFaults& faults = around_.scenario.cluster;
  now_and_then(faults.node_crashes, [this] { crash_sometime(); });
  now_and_then(faults.pauses, [this] { pause(); });
  now_and_then(faults.partitions, [this] { cut_off(); });
  now_and_then(around_.scenario.clock.jumps, [this] { jump_clock(); });
}

void NodeProcess::crash_sometime() {
  if (!process_) return;
  if (polling_) {
    to_be_killed_ = true;
  } else {
    end(Probe::crash_between_polls);
  }
}

void NodeProcess::pause() {
  const Instant now = around_.timeline.now();
  if (!process_ || now < standing_still_until_ || now < respite_until_) return;
  const Duration span = fate_.between(Duration{0}, span_of_ms(around_.scenario.cluster.pause_ms));
  around_.trace.note("node {} stands still for {} us", options_.number, span.us);
  around_.hit(Probe::node_paused);
  standing_still_until_ = now + span;
  respite_until_ = standing_still_until_ + std::max(span, kShortestRespite);
}

void NodeProcess::cut_off() {
  const Instant now = around_.timeline.now();
  if (now < cut_off_until_ || now < connected_until_) return;
  const Duration span =
      fate_.between(Duration{0}, span_of_ms(around_.scenario.cluster.partition_ms));
  around_.trace.note("node {} is cut off for {} us", options_.number, span.us);
  cut_off_until_ = now + span;
  connected_until_ = cut_off_until_ + std::max(span, kShortestRespite);
}

// To another offset, not by another step: clocks of machines that share work are off by a bound.
void NodeProcess::jump_clock() {
  const Duration most = commons_.clock_error;
  const Duration by{fate_.between(Duration{-most.us}, most).us - clock_.offset().us};
  around_.trace.note("clock of node {} jumps by {} us", options_.number, by.us);
  around_.hit(by.us < 0 ? Probe::wall_clock_back : Probe::wall_clock_forward);
  clock_.jump(by);
  wake();
}

Instant NodeProcess::shown_at(Instant database_time) {
  return clock_.now().wall + (database_time - commons_.database.now().wall);
}

Instant NodeProcess::database_time_of(Instant shown) {
  return commons_.database.now().wall + (shown - clock_.now().wall);
}

}  // namespace penstock::simulation
