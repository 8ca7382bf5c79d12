#include "adapters/rocksdb/applier.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include "adapters/rocksdb/keys.h"
#include "domain/check.h"
#include "domain/limits.h"

namespace penstock::rocksdb_store {

using domain::Month;
using domain::OrderId;
using ports::CommandResult;
using ports::PutOutcome;
using ports::StockResult;
using ports::StoreError;

Applier::Applier(StoreState& state, domain::Now now)
    : state_(state),
      now_(now),
      trusted_(state.evidence.trusted(now)),
      // Under one boot the clock cannot be behind the last batch; if it is, nothing counts twice.
      limiter_time_(std::max(now.monotonic, state.clock.limiter_time)) {
  state_.writes.clear();
  state_.claimed.clear();
}

std::expected<std::vector<CommandResult>, StoreError> Applier::run(
    std::span<ports::Command> commands) {
  std::vector<CommandResult> results;
  results.reserve(commands.size());
  for (ports::Command& command : commands) {
    auto result = std::visit([this](auto& any) { return apply(any); }, command);
    if (!result) return std::unexpected(state_.database->stop(result.error()));
    results.push_back(std::move(*result));
  }
  if (const auto done = finish(); !done) return std::unexpected(done.error());
  return results;
}

void Applier::change_bucket(std::uint32_t tenant) {
  TenantRow& row = state_.tenants.row(tenant);
  if (std::exchange(row.is_bucket_changed, true)) return;
  changed_buckets_.push_back(tenant);
}

Applier::Maybe<CommandResult> Applier::apply(ports::PeekBucket& command) {
  CommandResult answer(std::in_place_type<ports::AcceptResult>);
  auto& result = std::get<ports::AcceptResult>(answer);
  const auto number = state_.tenants.find(command.tenant.str());
  const TenantRow* row = number ? &state_.tenants.row(*number) : nullptr;
  result.contract = state_.contract_of(row).bucket;
  // A copy, so that a look leaves no trace.
  domain::TokenBucket bucket = row != nullptr && row->bucket
                                   ? *row->bucket
                                   : domain::TokenBucket(result.contract, limiter_time_);
  result.take = bucket.take(0, limiter_time_);
  result.outcome =
      result.take.remaining == 0 ? ports::AcceptOutcome::denied : ports::AcceptOutcome::accepted;
  return answer;
}

Applier::Maybe<CommandResult> Applier::apply(ports::SetStock& command) {
  const std::string key = scoped_key(command.tenant.str(), command.product.str());
  return CommandResult(StockResult{state_.stock.set_on_hand(key, command.on_hand)});
}

Applier::Maybe<CommandResult> Applier::apply(ports::Restock& command) {
  const std::string key = scoped_key(command.tenant.str(), command.product.str());
  return CommandResult(StockResult{state_.stock.restock(key, command.quantity)});
}

Applier::Maybe<CommandResult> Applier::apply(ports::PutContract& command) {
  const auto named = state_.tenants.find(command.tenant.str());
  const bool has_contract = named && state_.tenants.row(*named).stored;
  if (!has_contract && state_.tenants.contracts() >= domain::limits::kMaxTenants) {
    return CommandResult(PutOutcome::too_many_tenants);
  }
  if (command.instead_of) {
    const auto known = state_.tenants.find(command.tenant.str());
    const TenantRow* const present = known ? &state_.tenants.row(*known) : nullptr;
    if (!(*command.instead_of == state_.contract_of(present))) {
      return CommandResult(PutOutcome::stale);
    }
  }
  const std::uint32_t number = state_.tenants.ensure(command.tenant);
  TenantRow& row = state_.tenants.row(number);
  state_.tenants.store_contract(number, std::move(command.contract));
  state_.work.set_contract(number, row.stored->weight);
  state_.writes.put(family(Family::tenants), row.id.str(), *row.stored);
  changed_contracts_.push_back(number);
  if (row.bucket) {
    row.bucket->set_contract(row.stored->bucket, limiter_time_);
    change_bucket(number);
  }
  return CommandResult(PutOutcome::stored);
}

Applier::Maybe<CommandResult> Applier::apply(ports::FinishTerminalBatch& command) {
  const std::vector<Month>* months = state_.outbox.find_batch(command.sequence);
  if (months == nullptr) return CommandResult(std::monostate{});
  if (!command.deliveries.empty()) {
    if (const auto done = store_deliveries(command); !done) return std::unexpected(done.error());
  }
  const std::string note_key = sequence_key(kNoteTag, command.sequence);
  for (const Month month : *months) {
    if (command.part == ports::BatchPart::copies) break;
    const auto handle = state_.database->ensure_month(month);
    if (!handle) return std::unexpected(handle.error());
    state_.writes.put(*handle, note_key, NoteRecord{.at = now_.wall});
  }
  if (command.part == ports::BatchPart::deliveries) return CommandResult(std::monostate{});
  state_.writes.remove(family(Family::outbox), sequence_key(kBatchTag, command.sequence),
                       Removal::written_once);
  state_.outbox.finish_batch(command.sequence);
  return CommandResult(std::monostate{});
}

Applier::Maybe<void> Applier::store_deliveries(const ports::FinishTerminalBatch& command) {
  const std::string batch_key = sequence_key(kBatchTag, command.sequence);
  rocksdb::PinnableSlice value;
  const auto found = state_.database->read(family(Family::outbox), batch_key, value);
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::unexpected(StoreError::corrupt);
  const auto batch = decode<BatchRecord>(batch_key, value.ToStringView());
  if (!batch) return std::unexpected(StoreError::corrupt);
  std::unordered_map<OrderId, std::uint32_t> tenants;
  for (const BatchRecord::Entry& entry : batch->entries) tenants[entry.order] = entry.tenant;
  for (const OrderId& order : command.deliveries) {
    const auto entry = tenants.find(order);
    PENSTOCK_CHECK(entry != tenants.end(), "a delivery is of an order of its batch");
    const DeliveryRecord record{
        .tenant = batch->tenants[entry->second], .attempt = 1, .due = now_.wall};
    state_.writes.put(family(Family::outbox), tagged_id_key(kDeliveryTag, order), record);
    state_.outbox.put_delivery(order, {.tenant = state_.tenants.ensure(record.tenant),
                                       .attempt = record.attempt,
                                       .due = record.due});
  }
  return {};
}

Applier::Maybe<CommandResult> Applier::apply(ports::DeliveryAttempt& command) {
  const Outbox::Pending* pending = state_.outbox.find_delivery(command.order);
  if (pending == nullptr || pending->attempt != command.attempt) {
    return CommandResult(std::monostate{});
  }
  const auto month = state_.database->ensure_month(command.order.month());
  if (!month) return std::unexpected(month.error());
  ByteWriter note_key;
  note_key.raw(tagged_id_key(kAttemptTag, command.order));
  note_key.big32(static_cast<std::uint32_t>(command.attempt));
  state_.writes.put(*month, note_key.view(), NoteRecord{.at = now_.wall, .reason = command.reason});
  const std::string key = tagged_id_key(kDeliveryTag, command.order);
  if (!command.next_due) {
    state_.writes.remove(family(Family::outbox), key, Removal::any);
    state_.outbox.erase_delivery(command.order);
    return CommandResult(std::monostate{});
  }
  const Outbox::Pending next{
      .tenant = pending->tenant, .attempt = command.attempt + 1, .due = *command.next_due};
  state_.writes.put(
      family(Family::outbox), key,
      DeliveryRecord{
          .tenant = state_.tenants.row(next.tenant).id, .attempt = next.attempt, .due = next.due});
  state_.outbox.put_delivery(command.order, next);
  return CommandResult(std::monostate{});
}

void Applier::store_terminal_batch() {
  const std::uint64_t sequence = state_.clock.next_batch++;
  BatchRecord record;
  std::unordered_map<std::uint32_t, std::uint32_t> positions;  // tenant number -> in the record
  std::vector<Month> months;
  for (BatchRecord::Entry& entry : ended_) {
    const auto [position, added] =
        positions.try_emplace(entry.tenant, static_cast<std::uint32_t>(record.tenants.size()));
    if (added) record.tenants.push_back(state_.tenants.row(entry.tenant).id);
    entry.tenant = position->second;
    const Month month = entry.order.month();
    if (std::ranges::find(months, month) == months.end()) months.push_back(month);
  }
  record.entries = std::move(ended_);
  state_.writes.put(family(Family::outbox), sequence_key(kBatchTag, sequence), record);
  state_.outbox.add_batch(sequence, std::move(months));
}

void Applier::store_changes() {
  ChangesLog& log = state_.changes;
  ChangesRecord& record = log.record;
  record.at = limiter_time_;
  record.stock.clear();
  record.buckets.clear();
  for (const StockTable::Change& change : state_.stock.take_changes()) {
    if (change.is_first) {
      state_.writes.put(family(Family::stock), change.key, change.totals);
      continue;
    }
    record.stock.push_back({.key = change.key, .totals = change.totals});
    log.stock.add(change.row, log.next);
  }
  for (const std::uint32_t tenant : changed_buckets_) {
    TenantRow& row = state_.tenants.row(tenant);
    row.is_bucket_changed = false;
    if (!std::exchange(row.is_bucket_stored, true)) {
      state_.writes.put(family(Family::buckets), row.id.str(), row.bucket_record());
      continue;
    }
    record.buckets.push_back(
        {.tenant = row.id.str(), .contract = row.bucket->contract(), .state = row.bucket->state()});
    log.buckets.add(tenant, log.next);
  }
  if (record.stock.empty() && record.buckets.empty()) return;
  sweep_changes();
  state_.writes.put(family(Family::changes), changes_key(log.next++), record);
}

void Applier::sweep_changes() {
  ChangesLog& log = state_.changes;
  log.stock.sweep([this](std::uint32_t row) {
    const StockTable::Change change = state_.stock.stored_form(row);
    state_.writes.put(family(Family::stock), change.key, change.totals);
  });
  log.buckets.sweep([this](std::uint32_t tenant) {
    const TenantRow& row = state_.tenants.row(tenant);
    state_.writes.put(family(Family::buckets), row.id.str(), row.bucket_record());
  });
  log.trim([this](std::uint64_t sequence) {
    state_.writes.remove(family(Family::changes), changes_key(sequence), Removal::written_once);
  });
}

Applier::Maybe<void> Applier::finish() {
  if (!ended_.empty()) store_terminal_batch();
  store_changes();
  if (state_.writes.empty()) return {};
  state_.clock.limiter_time = limiter_time_;
  state_.clock.wall = std::max(state_.clock.wall, now_.wall);
  state_.writes.put(family(Family::meta), meta::kClock, state_.clock);
  if (!state_.evidence.agrees(now_) && !state_.is_disagreement_stored) {
    // The next start must not take the wall clock of this run for agreed.
    const domain::Instant agreed = trusted_ - domain::ClockEvidence::kTolerance;
    state_.writes.put(family(Family::meta), meta::kAgreed, static_cast<std::uint64_t>(agreed.us));
    state_.is_disagreement_stored = true;
  }
  if (const auto done = state_.database->write(state_.writes); !done) {
    return std::unexpected(done.error());
  }
  state_.database->set_wall(trusted_);
  for (const std::uint32_t tenant : changed_contracts_) {
    const TenantRow& row = state_.tenants.row(tenant);
    state_.contracts.put(row.id, *row.stored);
  }
  state_.stock.publish();
  state_.lists.publish();
  return {};
}

}  // namespace penstock::rocksdb_store
