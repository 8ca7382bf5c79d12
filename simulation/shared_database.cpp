#include "simulation/shared_database.h"

#include <algorithm>
#include <limits>
#include <variant>

#include "domain/check.h"

namespace penstock::simulation {
namespace {

/// Later than anything is due; a little more can still be added to it.
constexpr domain::Instant kEndOfTime{std::numeric_limits<std::int64_t>::max() / 2};

bool landed(const ports::CommitResult& result) {
  return result.outcome == ports::CommitOutcome::committed ||
         result.outcome == ports::CommitOutcome::short_of_stock;
}

}  // namespace

SharedDatabase::SharedDatabase(SharedDatabaseOptions options, Clock clock)
    : options_(std::move(options)), clock_(std::move(clock)) {
  PENSTOCK_CHECK(options_.lease.us > 0, "a lease lasts");
  open();
}

void SharedDatabase::open() {
  core_ = std::make_unique<memory_store::MemoryStore>(
      disk_,
      memory_store::MemoryStoreOptions{.max_active = options_.max_active,
                                       .default_contract = options_.default_contract,
                                       .idempotency_retention = options_.idempotency_retention,
                                       .boot_id = "boot-" + std::to_string(boots_),
                                       .now = clock_()});
}

void SharedDatabase::restart(Boot boot) {
  if (boot == Boot::another) boots_ += 1;
  core_.reset();
  open();
  // Leases are rows: they are there again.
  for (const auto& [order, lease] : orders_.held) core_->claim_one(order).value();
  fetch_new_work();
}

NodeRun SharedDatabase::start_run(std::uint32_t number) {
  end_leases();
  const domain::Instant now = clock_().wall;
  for (const domain::OrderId& order : orders_.of_node(number)) {
    orders_.drop(order);
    core_->release(order, now);
  }
  for (const std::uint64_t sequence : batches_.of_node(number)) {
    batches_.drop(sequence);
    waiting_batches_[sequence] = disk_->terminal_batches.at(sequence);
  }
  for (const Attempt& attempt : deliveries_.of_node(number)) {
    deliveries_.drop(attempt);
    wait_again(attempt);
  }
  Node& node = nodes_[number];
  node.runs += 1;
  node.recovery = {};
  if (node.last_end == memory_store::LastEnd::unclean) {
    node.unclean_ends += 1;
    for (const domain::OrderId& id : node.marks) {
      const auto found = disk_->orders.find(id);
      if (found == disk_->orders.end() || is_terminal(found->second.order.status)) continue;
      found->second.order.interruptions += 1;
      node.recovery.interrupted.push_back(id);
    }
  }
  node.marks.clear();
  node.last_end = memory_store::LastEnd::unclean;
  node.recovery.unclean_ends = node.unclean_ends;
  node.recovery.active = core_->depth().active;
  return {number, node.runs};
}

void SharedDatabase::end_run(const NodeRun& run) {
  Node& node = nodes_.at(run.node);
  node.unclean_ends = 0;
  node.last_end = memory_store::LastEnd::clean;
}

// What a lease kept from others is theirs to take again.
void SharedDatabase::end_leases() {
  const domain::Instant now = clock_().wall;
  while (const auto order = orders_.take_ended(now)) core_->release(*order, now);
  while (const auto sequence = batches_.take_ended(now)) {
    waiting_batches_[*sequence] = disk_->terminal_batches.at(*sequence);
  }
  while (const auto attempt = deliveries_.take_ended(now)) wait_again(*attempt);
}

void SharedDatabase::wait_again(const Attempt& attempt) {
  const auto stored = disk_->deliveries.find(attempt.first);
  if (stored == disk_->deliveries.end() || stored->second.attempt != attempt.second) return;
  waiting_deliveries_.put(attempt.first, stored->second.due);
}

// The core hands terminal batches and deliveries out once a run; here they are leased.
void SharedDatabase::fetch_new_work() {
  const auto batches = core_->take_terminal_batches(std::numeric_limits<std::size_t>::max());
  for (const ports::TerminalBatch& batch : batches.value()) {
    if (!batches_.held.contains(batch.sequence)) waiting_batches_[batch.sequence] = batch;
  }
  const auto deliveries = core_->take_deliveries(std::numeric_limits<std::size_t>::max(),
                                                 {.wall = kEndOfTime, .monotonic = {}}, {});
  for (const ports::Delivery& delivery : deliveries.value()) {
    if (deliveries_.held.contains({delivery.order, delivery.attempt})) continue;
    waiting_deliveries_.put(delivery.order, disk_->deliveries.at(delivery.order).due);
  }
}

Applied SharedDatabase::apply(const NodeRun& run, std::span<ports::Command> commands,
                              std::vector<std::size_t> to_hold) {
  end_leases();
  std::erase_if(to_hold, [&](std::size_t place) {
    return waits_behind_another(std::get<ports::Accept>(commands[place]).commit.next);
  });
  const domain::Now now = clock_();
  if (observer_ != nullptr) observer_->before_commit(run, commands, now);
  std::vector<ports::Command> sent;
  if (options_.flaw == Flaw::reads_old_records) keep_old_records(commands);
  if (options_.flaw == Flaw::drops_deliveries) break_promises_before(commands);
  // What is needed of them afterwards, since they are moved from.
  std::vector<domain::OrderId> moved(commands.size());
  for (std::size_t index = 0; index < commands.size(); ++index) {
    if (const auto* commit = std::get_if<ports::Commit>(&commands[index])) {
      moved[index] = commit->next.id;
    }
  }
  if (options_.flaw != Flaw::none) sent.assign(commands.begin(), commands.end());
  auto results = core_->apply(commands, now).value();
  for (std::size_t index = 0; index < results.size(); ++index) {
    if (std::holds_alternative<ports::Commit>(commands[index])) {
      after_transition(run, moved[index], std::get<ports::CommitResult>(results[index]));
    } else if (const auto* accept = std::get_if<ports::AcceptResult>(&results[index])) {
      if (accept->outcome == ports::AcceptOutcome::accepted && accept->order) {
        join_line(*accept->order);
      }
    } else {
      after_command(run, commands[index]);
    }
  }
  fetch_new_work();
  commits_ += 1;
  if (options_.flaw != Flaw::none) break_promises_after(sent, results);
  auto held = hold(run, to_hold, results);
  if (observer_ != nullptr) observer_->after_commit(results);
  return {.results = std::move(results), .held = std::move(held)};
}

// First claims are first in, first out: where the last in line waits, others may before it.
bool SharedDatabase::waits_behind_another(const domain::Order& order) const {
  const auto lines = last_in_line_.find(order.tenant);
  if (lines == last_in_line_.end()) return false;
  const auto stage = domain::stage_of(order.status);
  const domain::OrderId& last = lines->second.at(static_cast<std::size_t>(*stage));
  const auto stored = disk_->orders.find(last);
  return stored != disk_->orders.end() && domain::stage_of(stored->second.order.status) == stage &&
         !orders_.held.contains(last);
}

void SharedDatabase::join_line(const domain::Order& order) {
  const auto stage = domain::stage_of(order.status);
  if (!stage) return;
  // What is timed waits beside the line.
  if (order.due > clock_().wall) return leave_line(order);
  last_in_line_[order.tenant].at(static_cast<std::size_t>(*stage)) = order.id;
}

void SharedDatabase::leave_line(const domain::Order& order) {
  const auto stage = domain::stage_of(order.status);
  domain::OrderId& last = last_in_line_[order.tenant].at(static_cast<std::size_t>(*stage));
  if (last == order.id) last = {};
}

std::vector<domain::Order> SharedDatabase::hold(const NodeRun& run,
                                                std::span<const std::size_t> places,
                                                std::span<const ports::CommandResult> results) {
  std::vector<domain::Order> held;
  for (const std::size_t place : places) {
    const auto& accept = std::get<ports::AcceptResult>(results[place]);
    if (accept.outcome != ports::AcceptOutcome::accepted) continue;
    const auto stored = disk_->orders.find(accept.order->id);
    // A later command of the batch may have moved it on; what is short of stock has ended.
    if (stored == disk_->orders.end() || is_terminal(stored->second.order.status)) continue;
    if (stored->second.order.version != accept.order->version) continue;
    auto order = core_->claim_one(accept.order->id).value();
    orders_.take(order->id, {run, clock_().wall + options_.lease, LeasedBy::accept});
    held.push_back(*std::move(order));
  }
  return held;
}

void SharedDatabase::after_transition(const NodeRun& run, const domain::OrderId& order,
                                      const ports::CommitResult& result) {
  const auto held = orders_.held.find(order);
  const auto lost = orders_.lost.find(order);
  const bool taken_over = held != orders_.held.end() && held->second.holder.node != run.node;
  if (lost != orders_.lost.end() && lost->second.holder.node == run.node) {
    const bool is_fenced = result.outcome == ports::CommitOutcome::stale;
    if (taken_over) hit(Probe::zombie_commit);
    if (is_fenced) hit(Probe::zombie_fenced);
    if (is_fenced && lost->second.by == LeasedBy::accept) hit(Probe::held_too_long);
  }
  if (!landed(result)) return;
  orders_.drop(order);
  const domain::Order& stored = disk_->orders.at(order).order;
  join_line(stored);
  if (is_terminal(stored.status)) orders_.lost.erase(order);
}

void SharedDatabase::after_command(const NodeRun& run, const ports::Command& command) {
  if (const auto* finish = std::get_if<ports::FinishTerminalBatch>(&command)) {
    // It stays stored for its copies: past its lease's end somebody takes it again.
    if (finish->part == ports::BatchPart::deliveries) return;
    batches_.drop(finish->sequence);
    waiting_batches_.erase(finish->sequence);
    const auto lost = batches_.lost.find(finish->sequence);
    if (lost == batches_.lost.end()) return;
    if (lost->second.holder.node == run.node) hit(Probe::late_batch_end);
  } else if (const auto* attempt = std::get_if<ports::DeliveryAttempt>(&command)) {
    const auto stored = disk_->deliveries.find(attempt->order);
    const bool is_open =
        stored != disk_->deliveries.end() && stored->second.attempt == attempt->attempt;
    if (is_open) return;
    deliveries_.drop({attempt->order, attempt->attempt});
    deliveries_.lost.erase({attempt->order, attempt->attempt});
    if (stored == disk_->deliveries.end()) waiting_deliveries_.erase(attempt->order);
  }
}

std::vector<domain::Order> SharedDatabase::claim(const NodeRun& run, domain::Stage stage,
                                                 std::size_t limit, ports::ClaimPlaces* places) {
  end_leases();
  auto claimed = core_->claim_within(stage, limit, places, clock_()).value();
  for (const domain::Order& order : claimed) lease_order(run, order.id);
  return claimed;
}

std::optional<domain::Order> SharedDatabase::claim_one(const NodeRun& run,
                                                       const domain::OrderId& order) {
  end_leases();
  auto claimed = core_->claim_one(order).value();
  if (claimed) lease_order(run, order);
  return claimed;
}

void SharedDatabase::lease_order(const NodeRun& run, const domain::OrderId& order) {
  const auto lost = orders_.lost.find(order);
  if (lost != orders_.lost.end() && lost->second.holder.node != run.node) {
    hit(Probe::lease_takeover);
    if (lost->second.by == LeasedBy::accept) hit(Probe::held_takeover);
  }
  orders_.take(order, {run, clock_().wall + options_.lease});
  claims_ += 1;
}

void SharedDatabase::release(const NodeRun& run, const domain::OrderId& order,
                             domain::Instant due) {
  end_leases();
  const auto found = orders_.held.find(order);
  if (found == orders_.held.end() || found->second.holder != run) return;
  orders_.drop(order);
  leave_line(disk_->orders.at(order).order);
  core_->release(order, due);
}

void SharedDatabase::mark(const NodeRun& run, std::span<const domain::OrderId> orders) {
  nodes_.at(run.node).marks.assign(orders.begin(), orders.end());
}

std::vector<ports::TerminalBatch> SharedDatabase::take_terminal_batches(const NodeRun& run,
                                                                        std::size_t limit) {
  end_leases();
  std::vector<ports::TerminalBatch> taken;
  while (!waiting_batches_.empty() && taken.size() < limit) {
    ports::TerminalBatch batch = std::move(waiting_batches_.begin()->second);
    waiting_batches_.erase(waiting_batches_.begin());
    const auto lost = batches_.lost.find(batch.sequence);
    if (lost != batches_.lost.end() && lost->second.holder.node != run.node) {
      hit(Probe::batch_takeover);
    }
    batches_.take(batch.sequence, {run, clock_().wall + options_.lease});
    claims_ += 1;
    taken.push_back(std::move(batch));
  }
  return taken;
}

std::vector<ports::Delivery> SharedDatabase::take_deliveries(
    const NodeRun& run, std::size_t limit, std::span<const domain::TenantId> left_out) {
  end_leases();
  const domain::Instant now = clock_().wall;
  std::vector<ports::Delivery> taken;
  const auto& by_due = waiting_deliveries_.by_due;
  for (auto next = by_due.begin();
       next != by_due.end() && next->first <= now && taken.size() < limit;) {
    const domain::OrderId order = next->second;
    ++next;
    if (std::ranges::find(left_out, disk_->orders.at(order).order.tenant) != left_out.end()) {
      continue;
    }
    waiting_deliveries_.erase(order);
    const Attempt attempt{order, disk_->deliveries.at(order).attempt};
    const auto lost = deliveries_.lost.find(attempt);
    if (lost != deliveries_.lost.end() && lost->second.holder.node != run.node) {
      hit(Probe::delivery_takeover);
    }
    deliveries_.take(attempt, {run, now + options_.lease});
    claims_ += 1;
    taken.push_back({.order = order,
                     .tenant = disk_->orders.at(order).order.tenant,
                     .attempt = attempt.second});
  }
  return taken;
}

std::optional<domain::Instant> SharedDatabase::next_due() const {
  auto next = core_->next_due();
  if (!waiting_deliveries_.by_due.empty()) {
    const domain::Instant delivery = waiting_deliveries_.by_due.begin()->first;
    next = next ? std::min(*next, delivery) : delivery;
  }
  return next;
}

ports::Recovery SharedDatabase::recovery(const NodeRun& run) const {
  return nodes_.at(run.node).recovery;
}

void SharedDatabase::settled(const NodeRun& run) {
  nodes_.at(run.node).unclean_ends = 0;
}

std::expected<std::optional<ports::StoredOrder>, ports::StoreError> SharedDatabase::find(
    const domain::OrderId& order) const {
  if (const auto old = old_records_.find(order); old != old_records_.end()) return old->second;
  return core_->find(order);
}

void SharedDatabase::keep_old_records(std::span<const ports::Command> commands) {
  for (const ports::Command& command : commands) {
    const auto* commit = std::get_if<ports::Commit>(&command);
    if (commit == nullptr) continue;
    const auto found = disk_->orders.find(commit->next.id);
    if (found != disk_->orders.end()) old_records_[commit->next.id] = found->second;
  }
}

void SharedDatabase::break_promises_before(std::span<ports::Command> commands) {
  for (ports::Command& command : commands) {
    if (auto* finish = std::get_if<ports::FinishTerminalBatch>(&command)) finish->deliveries = {};
  }
}

void SharedDatabase::break_promises_after(std::span<const ports::Command> sent,
                                          std::span<ports::CommandResult> results) {
  constexpr std::uint64_t kEvery = 10;
  for (std::size_t index = 0; index < sent.size(); ++index) {
    if (const auto* commit = std::get_if<ports::Commit>(&sent[index])) {
      auto& result = std::get<ports::CommitResult>(results[index]);
      if (options_.flaw != Flaw::ignores_versions) continue;
      if (result.outcome != ports::CommitOutcome::stale) continue;
      disk_->orders[commit->next.id].order = commit->next;
      result = {};
    } else if (const auto* accept = std::get_if<ports::Accept>(&sent[index])) {
      auto& result = std::get<ports::AcceptResult>(results[index]);
      if (result.outcome != ports::AcceptOutcome::accepted) continue;
      accepts_ += 1;
      if (options_.flaw == Flaw::forgets_keys && accept->idempotency) {
        disk_->idempotency.erase({result.order->tenant, accept->idempotency->key});
      }
      if (options_.flaw == Flaw::forgets_accepts && accepts_ % kEvery == 0) {
        // Claimable nowhere and readable nowhere: as if it had never come.
        if (!core_->claim_one(result.order->id).value()) continue;
        disk_->orders.erase(result.order->id);
        if (accept->idempotency) {
          disk_->idempotency.erase({result.order->tenant, accept->idempotency->key});
        }
      }
    }
  }
}

}  // namespace penstock::simulation
