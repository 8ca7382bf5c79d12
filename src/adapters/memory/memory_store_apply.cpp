#include <algorithm>
#include <string>
#include <utility>

#include "adapters/memory/memory_store.h"
#include "domain/check.h"
#include "domain/idempotency.h"
#include "domain/saga.h"

namespace penstock::memory_store {
namespace {

using domain::Order;
using ports::AcceptOutcome;
using ports::AcceptResult;
using ports::CommandResult;
using ports::CommitOutcome;
using ports::CommitResult;
using ports::StoreError;

/// Replays the events behind `current` against the automaton: versions without gaps, each from
/// where the last one led to.
void check_transitions(const ports::Commit& commit, const Order* current) {
  const Order& next = commit.next;
  PENSTOCK_CHECK(next.version > commit.read && next.timeline.size() == next.version.number,
                 "the timeline has one event a version");
  std::optional<domain::Status> status;
  if (current != nullptr) status = current->status;
  for (std::size_t index = commit.read.number; index < next.timeline.size(); ++index) {
    const domain::Event& event = next.timeline[index];
    PENSTOCK_CHECK(event.version.number == index + 1, "versions are without gaps");
    PENSTOCK_CHECK(event.from == status, "an event begins where the last one ended");
    PENSTOCK_CHECK(status ? is_legal(*status, event.to) : event.to == domain::Status::placed,
                   "the automaton allows the transition");
    status = event.to;
  }
  PENSTOCK_CHECK(status == next.status, "the timeline ends in the order's status");
}

/// `holds_stock` is what reservations are rebuilt from, so it has to tell what `stock` does.
void check_stock_and_receipt(const ports::Commit& commit, const Order* current) {
  const bool held = current != nullptr && current->holds_stock;
  const bool holds = commit.next.holds_stock;
  switch (commit.stock) {
    case domain::StockMove::none:
      PENSTOCK_CHECK(held == holds, "stock is held as before");
      break;
    case domain::StockMove::reserve:
      PENSTOCK_CHECK(!held && holds, "a reservation holds stock");
      break;
    case domain::StockMove::release:
    case domain::StockMove::sell:
      PENSTOCK_CHECK(held && !holds, "only what is held goes back or is sold");
      break;
  }
  PENSTOCK_CHECK(commit.receipt.empty() == (commit.next.status != domain::Status::fulfilled),
                 "exactly a fulfilled order has a receipt");
}

bool is_listed_dead_letter(const Order& order) {
  return order.dead_letter && order.dead_letter->state != domain::DeadLetterState::discarded;
}

}  // namespace

std::expected<std::vector<CommandResult>, StoreError> MemoryStore::apply(
    std::span<ports::Command> commands, domain::Now now) {
  PENSTOCK_CHECK(commands.size() <= domain::limits::kMaxBatch, "a batch is bounded");
  const std::lock_guard lock(mutex_);
  if (const auto begun = begin_write(); !begun) return std::unexpected(begun.error());
  Batch batch{.now = now, .ended = {}};
  std::vector<CommandResult> results;
  results.reserve(commands.size());
  for (ports::Command& command : commands) {
    results.push_back(std::visit([&](auto& kind) { return run(kind, batch); }, command));
  }
  if (!batch.ended.empty()) {
    const std::uint64_t sequence = disk_->next_batch++;
    disk_->terminal_batches[sequence] = {.sequence = sequence, .entries = std::move(batch.ended)};
  }
  remove_expired_keys(now.wall);
  if (const auto ended = end_write(); !ended) return std::unexpected(ended.error());
  return results;
}

CommandResult MemoryStore::run(ports::Accept& command, Batch& batch) {
  const domain::TenantId tenant = command.commit.next.tenant;
  if (auto answer = answer_from_key(command, batch.now)) return *std::move(answer);
  AcceptResult result{.outcome = AcceptOutcome::full,
                      .order = std::nullopt,
                      .take = {},
                      .contract = limiter_.contract(tenant).bucket};
  if (!work_.may_accept(tenant) || is_one_name_too_many(tenant)) return result;
  result.take = limiter_.take_one(tenant, batch.now.monotonic);
  switch (result.take.outcome) {
    case domain::Take::denied:
      result.outcome = AcceptOutcome::denied;
      return result;
    case domain::Take::exceeds_capacity:
      result.outcome = AcceptOutcome::exceeds_capacity;
      return result;
    case domain::Take::allowed:
      break;
  }
  // Ids sort by creation: the newest is last.
  const std::size_t before = disk_->orders.size();
  const auto entry = disk_->orders.try_emplace(disk_->orders.end(), command.commit.next.id);
  PENSTOCK_CHECK(command.commit.read.number == 0 && disk_->orders.size() == before + 1,
                 "an order id is accepted once");
  result.outcome = AcceptOutcome::accepted;
  result.order = write(command.commit, nullptr, entry->second, batch);
  if (command.idempotency) store_key(*result.order, *command.idempotency, batch.now);
  disk_->tenants.insert(tenant);
  return result;
}

std::optional<AcceptResult> MemoryStore::answer_from_key(const ports::Accept& command,
                                                         const domain::Now& now) const {
  if (!command.idempotency) return std::nullopt;
  const domain::TenantId& tenant = command.commit.next.tenant;
  const auto found = disk_->idempotency.find({tenant, command.idempotency->key});
  std::optional<domain::IdempotencyRecord> stored;
  if (found != disk_->idempotency.end()) stored = found->second;
  AcceptResult result{.outcome = AcceptOutcome::replayed,
                      .order = std::nullopt,
                      .take = {},
                      .contract = limiter_.contract(tenant).bucket};
  switch (decide_idempotency(stored, command.idempotency->fingerprint, now.wall)) {
    case domain::IdempotencyDecision::claim:
      return std::nullopt;
    case domain::IdempotencyDecision::key_reused:
      result.outcome = AcceptOutcome::key_reused;
      return result;
    case domain::IdempotencyDecision::replay:
      result.order = disk_->orders.find(stored->order)->second.order;
      return result;
  }
  return std::nullopt;
}

void MemoryStore::store_key(const Order& order, const ports::IdempotencyClaim& claim,
                            const domain::Now& now) {
  IdempotencyName name{order.tenant, claim.key};
  const auto [entry, added] = disk_->idempotency.try_emplace(name);
  domain::IdempotencyRecord& record = entry->second;
  if (!added) disk_->expiries.erase({record.expires_at, name});
  record = {.fingerprint = claim.fingerprint,
            .order = order.id,
            .expires_at = now.wall + options_.idempotency_retention};
  disk_->expiries.emplace(record.expires_at, std::move(name));
}

void MemoryStore::remove_expired_keys(domain::Instant now) {
  while (!disk_->expiries.empty() && disk_->expiries.begin()->first <= now) {
    disk_->idempotency.erase(disk_->expiries.begin()->second);
    disk_->expiries.erase(disk_->expiries.begin());
  }
}

// Names and contracts are bounded apart, so that whoever invents names takes no place from an
// operator's contract.
bool MemoryStore::is_one_name_too_many(const domain::TenantId& tenant) const {
  const std::size_t names = disk_->tenants.size() - disk_->contracts.size();
  return names >= domain::limits::kMaxTenants && !disk_->tenants.contains(tenant);
}

CommandResult MemoryStore::run(ports::Commit& command, Batch& batch) {
  const auto found = disk_->orders.find(command.next.id);
  if (found == disk_->orders.end()) {
    return CommitResult{.outcome = CommitOutcome::missing, .current = std::nullopt};
  }
  const Order& current = found->second.order;
  if (current.version != command.read) {
    return CommitResult{.outcome = CommitOutcome::stale, .current = current};
  }
  const Order& stored = write(command, &current, found->second, batch);
  if (command.stock == domain::StockMove::reserve && stored.status == domain::Status::rejected) {
    return CommitResult{.outcome = CommitOutcome::short_of_stock, .current = stored};
  }
  return CommitResult{};
}

const Order& MemoryStore::write(ports::Commit& commit, const Order* current,
                                ports::StoredOrder& stored, Batch& batch) {
  check_transitions(commit, current);
  check_stock_and_receipt(commit, current);
  if (const auto missing = stock_room_.move(commit.next, commit.stock)) {
    PENSTOCK_CHECK(commit.stock == domain::StockMove::reserve, "held stock was never set");
    commit.next = domain::reject_instead(std::move(commit.next), *missing);
  }
  stored.order = std::move(commit.next);
  stored.receipt = std::move(commit.receipt);
  index(stored.order, batch.now.wall);
  if (is_terminal(stored.order.status)) {
    batch.ended.push_back(
        {.order = stored.order.id, .tenant = stored.order.tenant, .status = stored.order.status});
  }
  return stored.order;
}

void MemoryStore::index(const Order& order, domain::Instant now) {
  if (is_terminal(order.status)) {
    work_.erase(order.id);
  } else {
    work_.put(order, now);
  }
  if (is_listed_dead_letter(order)) {
    dead_letters_.insert(order.id);
  } else {
    dead_letters_.erase(order.id);
  }
  if (owes_refund(order)) {
    owed_refunds_.insert(order.id);
  } else {
    owed_refunds_.erase(order.id);
  }
}

CommandResult MemoryStore::run(ports::PeekBucket& command, Batch& batch) {
  AcceptResult result{.outcome = AcceptOutcome::accepted,
                      .order = std::nullopt,
                      .take = limiter_.peek(command.tenant, batch.now.monotonic),
                      .contract = limiter_.contract(command.tenant).bucket};
  if (result.take.remaining == 0) result.outcome = AcceptOutcome::denied;
  return result;
}

CommandResult MemoryStore::run(ports::SetStock& command, Batch&) {
  return ports::StockResult{
      stock_room_.set_on_hand({command.tenant, command.product}, command.on_hand)};
}

CommandResult MemoryStore::run(ports::Restock& command, Batch&) {
  return ports::StockResult{
      stock_room_.restock({command.tenant, command.product}, command.quantity)};
}

CommandResult MemoryStore::run(ports::PutContract& command, Batch& batch) {
  if (disk_->contracts.size() >= domain::limits::kMaxTenants &&
      !disk_->contracts.contains(command.tenant)) {
    return ports::PutOutcome::too_many_tenants;
  }
  if (command.instead_of && !(*command.instead_of == limiter_.contract(command.tenant))) {
    return ports::PutOutcome::stale;
  }
  disk_->tenants.insert(command.tenant);
  work_.set_contract(command.tenant, command.contract.weight);
  disk_->contracts[command.tenant] = std::move(command.contract);
  limiter_.follow_contract(command.tenant, batch.now.monotonic);
  return ports::PutOutcome::stored;
}

CommandResult MemoryStore::run(ports::FinishTerminalBatch& command, Batch& batch) {
  const auto found = disk_->terminal_batches.find(command.sequence);
  if (found == disk_->terminal_batches.end()) return std::monostate{};
  const bool tells = command.part != ports::BatchPart::copies;
  for (const ports::TerminalBatch::Entry& entry : found->second.entries) {
    auto& told = disk_->orders.find(entry.order)->second.deliveries;
    if (tells && told.empty()) told.push_back({.at = batch.now.wall});
  }
  if (command.part != ports::BatchPart::deliveries) disk_->terminal_batches.erase(found);
  for (const domain::OrderId& order : command.deliveries) {
    PENSTOCK_CHECK(disk_->orders.contains(order), "a delivery tells of a stored order");
    disk_->deliveries[order] = {.attempt = 1, .due = batch.now.wall};
    waiting_deliveries_.emplace(batch.now.wall, order);
  }
  return std::monostate{};
}

CommandResult MemoryStore::run(ports::DeliveryAttempt& command, Batch& batch) {
  const auto found = disk_->deliveries.find(command.order);
  if (found == disk_->deliveries.end() || found->second.attempt != command.attempt) {
    return std::monostate{};
  }
  disk_->orders.find(command.order)
      ->second.deliveries.push_back(
          {.at = batch.now.wall, .attempt = command.attempt, .reason = command.reason});
  waiting_deliveries_.erase({found->second.due, command.order});
  if (command.next_due) {
    found->second = {.attempt = command.attempt + 1, .due = *command.next_due};
    waiting_deliveries_.emplace(*command.next_due, command.order);
  } else {
    disk_->deliveries.erase(found);
  }
  return std::monostate{};
}

}  // namespace penstock::memory_store
