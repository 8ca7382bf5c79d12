#include "simulation/embedded_server.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "domain/check.h"

namespace penstock::simulation {

using domain::Duration;
using domain::Instant;

namespace {

/// Between the beginnings of two polls: what arrives meanwhile shares a commit.
constexpr Duration kPollGap{150};
/// A process that is asked to end does so by then, whatever is in flight.
constexpr Duration kDrainFor = Duration::seconds(5);
constexpr Duration kShortestDowntime = Duration::milliseconds(1);

}  // namespace

struct EmbeddedServer::Process {
  Process(EmbeddedServer& server, memory_store::MemoryStoreOptions options)
      : stored(server.machine_.disk, std::move(options)),
        store(server.around_, server.machine_, stored, server.random_,
              [&server](Duration span) { server.stall(span); }),
        gateway(
            server.peers_.gateway, [&server] { server.wake(); },
            [&server] { server.maybe_crash_sending(); }, [] { throw Crash{Probe::poison_order}; }),
        fulfiller(
            server.peers_.fulfiller, [&server] { server.wake(); },
            [&server] { server.maybe_crash_sending(); }),
        notifier(server.peers_.receivers, [&server] { server.wake(); }),
        copies(server.peers_.copies, [&server] { server.wake(); }),
        pipeline(
            pipeline::Parts{
                .store = store,
                .reader = stored,
                .gateway = gateway,
                .log = server.log_,
                .random = server.random_,
                .fulfiller = server.around_.scenario.fulfiller.hook ? &fulfiller : nullptr,
                .notifier = &notifier,
                .receipts = server.around_.scenario.notification.receipts ? &copies : nullptr},
            pipeline_options_of(server.around_.scenario), server.clock_.now()) {}

  memory_store::MemoryStore stored;
  SimulatedStore store;
  SimulatedGateway::Connection gateway;
  SimulatedFulfiller::Connection fulfiller;
  SimulatedReceivers::Connection notifier;
  SimulatedCopies::Connection copies;
  std::vector<pipeline::Request> inbox;
  pipeline::Pipeline pipeline;
};

EmbeddedServer::EmbeddedServer(Surroundings& around, Peers& peers)
    : around_(around),
      peers_(peers),
      random_(around.seed, "server"),
      clock_(around.timeline),
      log_(around.trace) {}

EmbeddedServer::~EmbeddedServer() = default;

void EmbeddedServer::start() {
  clock_.process_started();
  memory_store::MemoryStoreOptions options;
  options.max_active = static_cast<std::size_t>(around_.scenario.store.max_active);
  options.idempotency_retention =
      span_of_seconds(around_.scenario.policy.idempotency_retention_seconds);
  options.boot_id = fmt::format("boot-{}", clock_.boots());
  options.now = clock_.now();
  process_ = std::make_unique<Process>(*this, std::move(options));
  const ports::Recovery recovery = process_->store.recovery();
  clock_.not_before(recovery.latest);
  around_.trace.note("process starts: {} unclean, {} interrupted, {} active", recovery.unclean_ends,
                     recovery.interrupted.size(), recovery.active);
  if (recovery.unclean_ends >= 3) around_.hit(Probe::careful_start);
  if (!recovery.interrupted.empty()) around_.hit(Probe::interrupted_orders);
  around_.tell(checker::Started{kOnlyProcess});
  for (const auto& occurrence : std::exchange(machine_.unheard, {})) {
    std::visit([this](const auto& what) { around_.tell(what); }, occurrence);
  }
  wake();
}

std::optional<checker::ProcessId> EmbeddedServer::submit(pipeline::Request request) {
  if (!process_) return std::nullopt;
  process_->inbox.push_back(std::move(request));
  wake();
  return kOnlyProcess;
}

const ports::OrderReader* EmbeddedServer::reader() {
  return process_ ? &process_->stored : nullptr;
}

const ports::OrderReader& EmbeddedServer::stored() const {
  PENSTOCK_CHECK(process_ != nullptr, "at rest a process runs");
  return process_->stored;
}

void EmbeddedServer::wake() {
  woken_ = true;
  if (!polling_) poll_at(std::max(around_.timeline.now(), last_poll_ + kPollGap));
}

void EmbeddedServer::poll_at(Instant time) {
  if (next_poll_ && *next_poll_ <= time) return;
  next_poll_ = time;
  poll_number_ += 1;
  around_.timeline.at(time, [this, number = poll_number_] {
    if (number != poll_number_) return;
    next_poll_.reset();
    poll();
  });
}

void EmbeddedServer::poll() {
  if (!process_ || polling_) return;
  last_poll_ = around_.timeline.now();
  polling_ = true;
  woken_ = false;
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
  if (process_->pipeline.failure()) return end(Probe::failed_sync);
  if (draining_ && (process_->pipeline.idle() || around_.timeline.now() >= drain_until_)) {
    return end_cleanly();
  }
  look_for_next_poll();
}

void EmbeddedServer::look_for_next_poll() {
  const Instant soonest = last_poll_ + kPollGap;
  if (woken_ || !process_->inbox.empty()) return poll_at(soonest);
  std::optional<Instant> due;
  if (const auto wanted = process_->pipeline.next_due(clock_.now())) {
    due = clock_.true_time_of(*wanted);
  }
  if (draining_) due = std::min(due.value_or(drain_until_), drain_until_);
  if (due) poll_at(std::max(*due, soonest));
}

void EmbeddedServer::end(Probe where) {
  around_.trace.note("process ends: {}", to_string(where));
  if (where != Probe::failed_sync) around_.hit(where);
  crashes_ += 1;
  to_be_killed_ = false;
  draining_ = false;
  process_.reset();
  around_.tell(checker::Crashed{kOnlyProcess});
  if (around_.defect == PlantedDefect::store_loses_acknowledged && machine_.old_disk) {
    *machine_.disk = *std::exchange(machine_.old_disk, std::nullopt);
  }
  if (around_.defect == PlantedDefect::store_forgets_keys) machine_.disk->idempotency.clear();
  start_after_a_while();
}

void EmbeddedServer::end_cleanly() {
  around_.trace.note("process ends cleanly");
  around_.hit(Probe::clean_restart);
  draining_ = false;
  process_->stored.close();
  process_.reset();
  around_.tell(checker::Crashed{kOnlyProcess});
  start_after_a_while();
}

void EmbeddedServer::start_after_a_while() {
  const bool machine = random_.chance(around_.risk(around_.scenario.crash.machine));
  const Duration downtime =
      random_.between(kShortestDowntime,
                      std::max(kShortestDowntime, span_of_ms(around_.scenario.crash.downtime_ms)));
  around_.timeline.after(downtime, [this, machine] {
    if (machine) {
      around_.hit(Probe::machine_restart);
      clock_.machine_started();
    }
    start();
  });
}

// The world goes on while the process hangs: what arrives waits, and whoever kills it does so in
// the middle of its call.
void EmbeddedServer::stall(Duration span) {
  around_.trace.note("store stalls for {} us", span.us);
  const Instant until = around_.timeline.now() + span;
  bool over = false;
  around_.timeline.at(until, [&over] { over = true; });
  while (!over && around_.timeline.run_next()) {
  }
  if (std::exchange(to_be_killed_, false)) throw Crash{Probe::crash_between_polls};
}

void EmbeddedServer::maybe_crash_sending() {
  if (random_.chance(around_.risk(around_.scenario.crash.in_submit))) {
    throw Crash{Probe::crash_in_submit};
  }
}

void EmbeddedServer::now_and_then(double times_a_second, std::function<void()> act) {
  if (times_a_second <= 0) return;
  const Duration mean = span_of_seconds(1 / times_a_second);
  around_.timeline.after(random_.between(Duration{0}, Duration{mean.us * 2}),
                         [this, times_a_second, act = std::move(act)]() mutable {
                           if (!around_.faulty()) return;
                           act();
                           now_and_then(times_a_second, std::move(act));
                         });
}

void EmbeddedServer::jump_clock() {
  const Duration most = span_of_seconds(around_.scenario.clock.jump_seconds);
  const Duration by = random_.between(Duration{-most.us}, most);
  around_.trace.note("clock jumps by {} us", by.us);
  around_.hit(by.us < 0 ? Probe::wall_clock_back : Probe::wall_clock_forward);
  clock_.jump(by);
  peers_.gateway.allow_for_clock_error({by.us < 0 ? -by.us : by.us});
  if (process_) wake();
}

void EmbeddedServer::start_misfortunes() {
  now_and_then(around_.scenario.clock.jumps, [this] { jump_clock(); });
  now_and_then(around_.scenario.crash.between_polls, [this] {
    if (!process_) return;
    if (polling_) {
      to_be_killed_ = true;
    } else {
      end(Probe::crash_between_polls);
    }
  });
  now_and_then(around_.scenario.crash.clean, [this] {
    if (!process_ || draining_) return;
    draining_ = true;
    drain_until_ = around_.timeline.now() + kDrainFor;
    process_->pipeline.drain();
    wake();
  });
}

bool EmbeddedServer::at_rest() const {
  if (!process_ || draining_ || !process_->inbox.empty() || !process_->pipeline.idle())
    return false;
  const ports::StoreDepth depth = process_->stored.depth();
  return depth.active == 0 && depth.deliveries == 0 && depth.terminal_batches == 0;
}

}  // namespace penstock::simulation
