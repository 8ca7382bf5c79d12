#include <array>
#include <string>
#include <utility>

#include "adapters/rocksdb/applier.h"
#include "adapters/rocksdb/keys.h"
#include "domain/check.h"
#include "domain/limits.h"
#include "domain/saga.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Order;
using domain::Status;
using ports::AcceptOutcome;
using ports::AcceptResult;
using ports::CommandResult;
using ports::Commit;
using ports::CommitOutcome;
using ports::CommitResult;
using ports::StoreError;

/// The events behind version `read` replayed against the automaton: what cannot be must not be
/// stored.
void check_events(const Order& next, std::uint32_t read, std::optional<Status> from) {
  PENSTOCK_CHECK(next.version.number > read && next.timeline.size() == next.version.number,
                 "a commit carries every event up to its version");
  for (std::size_t i = read; i < next.timeline.size(); ++i) {
    const domain::Event& event = next.timeline[i];
    PENSTOCK_CHECK(event.version.number == i + 1 && event.from == from,
                   "an event follows the one before");
    PENSTOCK_CHECK(from ? domain::is_legal(*from, event.to) : event.to == Status::placed,
                   "an event is a legal transition");
    from = event.to;
  }
  PENSTOCK_CHECK(from == next.status, "the last event led to the status");
}

/// `holds_stock` is what reservations are rebuilt from, so it has to tell what `stock` does.
void check_stock_and_receipt(const Commit& commit, bool held) {
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
  PENSTOCK_CHECK(commit.receipt.empty() == (commit.next.status != Status::fulfilled),
                 "a receipt belongs to a fulfilled order, and only to one");
}

}  // namespace

Applier::Maybe<CommandResult> Applier::apply(ports::Accept& command) {
  const Order& order = command.commit.next;
  if (command.idempotency) {
    auto answer = answer_from_key(command);
    if (!answer) return std::unexpected(answer.error());
    if (*answer) return CommandResult(std::in_place_type<AcceptResult>, std::move(**answer));
  }
  CommandResult answer(std::in_place_type<AcceptResult>);
  auto& result = std::get<AcceptResult>(answer);
  result.contract = state_.options.default_contract.bucket;
  const auto known = state_.tenants.find(order.tenant.str());
  if (known) result.contract = state_.contract_of(&state_.tenants.row(*known)).bucket;
  const bool is_one_tenant_too_many =
      !known && state_.tenants.names() >= domain::limits::kMaxTenants;
  if (!state_.work.may_accept(known) || is_one_tenant_too_many) {
    result.outcome = AcceptOutcome::full;
    return answer;
  }
  const auto tenant = take_token(order.tenant, result);
  if (!tenant) return answer;

  PENSTOCK_CHECK(state_.work.find(order.id) == nullptr, "an order is accepted once");
  check_events(order, 0, std::nullopt);
  const auto moved = write_order(command.commit, *tenant);
  if (!moved) return std::unexpected(moved.error());
  if (command.idempotency) store_key(command);
  result.outcome = AcceptOutcome::accepted;
  result.order = std::move(command.commit.next);
  return answer;
}

Applier::Maybe<std::optional<AcceptResult>> Applier::answer_from_key(const ports::Accept& command) {
  const domain::TenantId& tenant = command.commit.next.tenant;
  idempotency_key_.assign(tenant.str());
  idempotency_key_ += '\0';
  idempotency_key_ += command.idempotency->key.str();
  rocksdb::PinnableSlice value;
  std::optional<std::string_view> stored;
  if (state_.claimed.perhaps_has(idempotency_key_)) {
    stored = state_.writes.find(family(Family::idempotency), idempotency_key_);
  }
  if (!stored) {
    const auto found = state_.database->read(family(Family::idempotency), idempotency_key_, value);
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::nullopt;
    stored = value.ToStringView();
  }
  const auto record = decode<domain::IdempotencyRecord>(idempotency_key_, *stored);
  if (!record) return std::unexpected(StoreError::corrupt);
  const auto decision =
      domain::decide_idempotency(*record, command.idempotency->fingerprint, trusted_);
  if (decision == domain::IdempotencyDecision::claim) return std::nullopt;

  AcceptResult result;
  const auto row = state_.tenants.find(tenant.str());
  result.contract = state_.contract_of(row ? &state_.tenants.row(*row) : nullptr).bucket;
  result.outcome = AcceptOutcome::key_reused;
  if (decision == domain::IdempotencyDecision::replay) {
    auto order = load_stored(state_, record->order);
    if (!order) return std::unexpected(order.error());
    // History outlives the keys, so an order that a live key names is there.
    if (!*order) return std::unexpected(StoreError::corrupt);
    result.outcome = AcceptOutcome::replayed;
    result.order = std::move(**order);
  }
  return std::optional<AcceptResult>(std::move(result));
}

std::optional<std::uint32_t> Applier::take_token(const domain::TenantId& tenant,
                                                 AcceptResult& result) {
  const std::uint32_t number = state_.tenants.ensure(tenant);
  TenantRow& row = state_.tenants.row(number);
  if (!row.bucket) state_.work.set_weight(number, state_.contract_of(&row).weight);
  if (!row.bucket) row.bucket.emplace(result.contract, limiter_time_);
  result.take = row.bucket->take(1, limiter_time_);
  switch (result.take.outcome) {
    case domain::Take::allowed:
      change_bucket(number);
      return number;
    case domain::Take::denied:
      result.outcome = AcceptOutcome::denied;
      return std::nullopt;
    case domain::Take::exceeds_capacity:
      result.outcome = AcceptOutcome::exceeds_capacity;
      return std::nullopt;
  }
  return std::nullopt;
}

void Applier::store_key(const ports::Accept& command) {
  const domain::IdempotencyRecord record{
      .fingerprint = command.idempotency->fingerprint,
      .order = command.commit.next.id,
      .expires_at = now_.wall + state_.options.idempotency_retention};
  state_.writes.put(family(Family::idempotency), idempotency_key_, record);
  state_.claimed.add(idempotency_key_);
}

Applier::Maybe<CommandResult> Applier::apply(Commit& command) {
  CommandResult answer(std::in_place_type<CommitResult>);
  auto& result = std::get<CommitResult>(answer);
  const ActiveOrder* active = state_.work.find(command.next.id);
  if (active == nullptr || active->version != command.read.number) {
    auto stored = load_stored(state_, command.next.id);
    if (!stored) return std::unexpected(stored.error());
    result.outcome = *stored ? CommitOutcome::stale : CommitOutcome::missing;
    result.current = std::move(*stored);
    return answer;
  }
  check_events(command.next, command.read.number, active->status);
  const auto moved = write_order(command, active->tenant);
  if (!moved) return std::unexpected(moved.error());
  if (*moved == Moved::rejected_instead) {
    result.outcome = CommitOutcome::short_of_stock;
    result.current = std::move(command.next);
  }
  return answer;
}

Applier::Maybe<Applier::Moved> Applier::write_order(Commit& commit, std::uint32_t tenant) {
  const ActiveOrder* active = state_.work.find(commit.next.id);
  check_stock_and_receipt(commit, active != nullptr && active->holds_stock);
  Moved moved = Moved::as_decided;
  if (const auto reason = state_.stock.move(commit.next, commit.stock)) {
    commit.next = domain::reject_instead(std::move(commit.next), *reason);
    moved = Moved::rejected_instead;
  }
  if (!domain::is_terminal(commit.next.status)) {
    write_active(commit.next, tenant);
  } else if (const auto done = write_terminal(commit.next, tenant, commit.receipt); !done) {
    return std::unexpected(done.error());
  }
  return moved;
}

void Applier::write_active(const Order& order, std::uint32_t tenant) {
  const ActiveOrder* before = state_.work.find(order.id);
  const bool is_new = before == nullptr;
  const bool was_dead_letter = !is_new && before->listed_dead_letter;
  const bool was_owed = !is_new && before->owes_refund;
  ActiveOrder& active = state_.work.put(order, tenant, now_.wall);
  active.written_once = is_new;
  if (is_new) {
    state_.lists.active.add(order.id, PublishedIds::tenant_hash(order.tenant.str()));
  }
  const std::string_view record =
      state_.writes.put_order(family(Family::active), order.id.view(), order, {});
  active.kept_at = state_.ring.keep(order.id, order.version.number, record);
  write_listed(order, was_dead_letter, was_owed);
}

Applier::Maybe<void> Applier::write_terminal(const Order& order, std::uint32_t tenant,
                                             std::string_view receipt) {
  const auto month = state_.database->ensure_month(order.id.month());
  if (!month) return std::unexpected(month.error());
  bool was_dead_letter = false;
  bool was_owed = false;
  if (const ActiveOrder* active = state_.work.find(order.id)) {
    was_dead_letter = active->listed_dead_letter;
    was_owed = active->owes_refund;
    state_.writes.remove(family(Family::active), order.id.view(),
                         active->written_once ? Removal::written_once : Removal::any);
    state_.work.erase(order.id);
    state_.lists.active.remove(order.id);
  }
  std::array<char, 1 + kIdBytes> record_key{kOrderTag};
  order.id.view().copy(record_key.data() + 1, kIdBytes);
  state_.writes.put_order(*month, {record_key.data(), record_key.size()}, order,
                          {.receipt = receipt, .batch_sequence = state_.clock.next_batch});
  std::string index_key = tenant_index_prefix(order.tenant.str());
  index_key += order.id.view();
  state_.writes.put(*month, index_key, order.status);
  write_listed(order, was_dead_letter, was_owed);
  ended_.push_back({.order = order.id, .tenant = tenant, .status = order.status});
  return {};
}

void Applier::write_listed(const Order& order, bool was_dead_letter, bool was_owed) {
  const bool is_dead_letter =
      order.dead_letter && order.dead_letter->state != domain::DeadLetterState::discarded;
  const bool is_owed = domain::owes_refund(order);
  const auto list = [this, &order](PublishedIds& ids, char tag, bool was, bool is) {
    if (was == is) return;
    const std::string key = tagged_id_key(tag, order.id);
    if (is) {
      state_.writes.put(family(Family::listed), key, order.status);
      ids.add(order.id, PublishedIds::tenant_hash(order.tenant.str()));
    } else {
      ids.remove(order.id);
      state_.writes.remove(family(Family::listed), key, Removal::any);
    }
  };
  list(state_.lists.dead_letters, kDeadLetterTag, was_dead_letter, is_dead_letter);
  list(state_.lists.owed_refunds, kOwedRefundTag, was_owed, is_owed);
}

}  // namespace penstock::rocksdb_store
