#include "simulation/simulated_store.h"

#include <utility>

#include "simulation/store_tap.h"

namespace penstock::simulation {

using ports::StoreError;

namespace {

/// Longer than an answer takes to its client: what was answered before the sync failed arrives.
constexpr domain::Duration kAnswersArrive{600};
/// How often the disk is kept for the defect that goes back to it.
constexpr double kKeepOldDisk = 0.05;

}  // namespace

std::optional<StoreError> SimulatedStore::misfortune_before() {
  const StoreFaults& faults = around_.scenario.store;
  const CrashFaults& crash = around_.scenario.crash;
  if (random_.chance(around_.risk(faults.unavailable))) {
    around_.hit(Probe::store_unavailable);
    around_.trace.note("store unavailable");
    return StoreError::unavailable;
  }
  if (random_.chance(around_.risk(crash.before_commit))) throw Crash{Probe::lost_batch};
  if (random_.chance(around_.risk(crash.torn))) throw Crash{Probe::torn_batch};
  if (random_.chance(around_.risk(faults.failed_sync))) return StoreError::stopped;
  if (random_.chance(around_.risk(faults.full_disk))) return StoreError::full_disk;
  return std::nullopt;
}

std::expected<std::vector<ports::CommandResult>, StoreError> SimulatedStore::apply(
    std::span<ports::Command> commands, domain::Now now) {
  if (stopped_) return std::unexpected(*stopped_);
  const domain::Instant asked_at = around_.timeline.now();
  if (const auto error = misfortune_before()) {
    if (*error == StoreError::unavailable) return std::unexpected(*error);
    const bool landed = random_.chance(0.5);
    return fail_sync(*error, commands, now, landed ? Written::landed : Written::lost);
  }
  const bool stalls = random_.chance(around_.risk(around_.scenario.store.stall));
  const bool before = stalls && random_.chance(0.5);
  const domain::Duration span = span_of_ms(around_.scenario.store.stall_ms);
  if (before) stall_(random_.between(domain::Duration{0}, span));
  const bool crashes = random_.chance(around_.risk(around_.scenario.crash.after_commit));
  auto results = write(commands, now, asked_at, crashes ? Heard::later : Heard::now);
  if (crashes) throw Crash{Probe::landed_batch};
  if (stalls && !before) stall_(random_.between(domain::Duration{0}, span));
  return results;
}

std::unexpected<StoreError> SimulatedStore::fail_sync(StoreError error,
                                                      std::span<ports::Command> commands,
                                                      domain::Now now, Written written) {
  around_.hit(error == StoreError::full_disk ? Probe::full_disk : Probe::failed_sync);
  around_.trace.note("sync fails: {}", written == Written::landed ? "landed" : "lost");
  stopped_ = error;
  if (written == Written::landed) {
    static_cast<void>(write(commands, now, around_.timeline.now(), Heard::later));
  }
  around_.timeline.after(kAnswersArrive,
                         [&around = around_] { around.tell(checker::SyncFailed{kOnlyProcess}); });
  return std::unexpected(error);
}

std::expected<std::vector<ports::CommandResult>, StoreError> SimulatedStore::write(
    std::span<ports::Command> commands, domain::Now now, domain::Instant asked_at, Heard heard) {
  const StoreTap tap(commands, asked_at);
  memory_store::MemoryDisk& disk = *machine_.disk;
  if (around_.defect == PlantedDefect::store_loses_acknowledged && random_.chance(kKeepOldDisk)) {
    machine_.old_disk = disk;
  }
  if (around_.defect == PlantedDefect::store_applies_twice) {
    for (const ports::Command& command : commands) {
      if (!std::holds_alternative<ports::Restock>(command)) continue;
      std::vector<ports::Command> again{command};
      static_cast<void>(store_.apply(again, now));
    }
  }
  auto results = store_.apply(commands, now);
  PENSTOCK_CHECK(results.has_value(), "the store in memory fails only where it is told to");
  machine_.commits += 1;
  const TapSource source{
      .disk = disk, .reader = store_, .depth = [this] { return store_.depth(); }};
  const TapListener listener = [this, heard](const checker::OccurrencePointer& what) {
    if (heard == Heard::now) return around_.tell(what);
    machine_.unheard.push_back(what.copy());
  };
  tap.tell({*results, now, kOnlyProcess}, source, machine_.told, around_, listener);
  return results;
}

std::expected<std::vector<domain::Order>, StoreError> SimulatedStore::claim_within(
    domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places, domain::Now now) {
  if (stopped_) return std::unexpected(*stopped_);
  return store_.claim_within(stage, limit, places, now);
}

std::expected<std::optional<domain::Order>, StoreError> SimulatedStore::claim_one(
    const domain::OrderId& order) {
  if (stopped_) return std::unexpected(*stopped_);
  return store_.claim_one(order);
}

std::expected<void, StoreError> SimulatedStore::mark(std::span<const domain::OrderId> orders) {
  if (stopped_) return std::unexpected(*stopped_);
  const bool crashes = random_.chance(around_.risk(around_.scenario.crash.in_mark));
  if (crashes && random_.chance(0.5)) throw Crash{Probe::crash_in_mark};
  auto marked = store_.mark(orders);
  if (crashes) throw Crash{Probe::crash_in_mark};
  return marked;
}

std::expected<std::vector<ports::TerminalBatch>, StoreError> SimulatedStore::take_terminal_batches(
    std::size_t limit) {
  if (stopped_) return std::unexpected(*stopped_);
  return store_.take_terminal_batches(limit);
}

std::expected<std::vector<ports::Delivery>, StoreError> SimulatedStore::take_deliveries(
    std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) {
  if (stopped_) return std::unexpected(*stopped_);
  return store_.take_deliveries(limit, now, left_out);
}

std::expected<void, StoreError> SimulatedStore::settled() {
  if (stopped_) return std::unexpected(*stopped_);
  return store_.settled();
}

}  // namespace penstock::simulation
