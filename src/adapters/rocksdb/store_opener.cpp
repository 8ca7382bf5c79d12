#include "adapters/rocksdb/store_opener.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/record_codec.h"
#include "domain/limits.h"

namespace penstock::rocksdb_store {
namespace {

using domain::ErrorCode;
using domain::MonotonicTime;
using domain::Month;
using domain::Order;
using domain::OrderId;

constexpr std::size_t kScanReadahead = 2U << 20;

OpenError change_of_no_row() {
  return {ErrorCode::store_corrupt, "changes has a row that is not there"};
}

OpenError open_error_of(ports::StoreError error, std::string_view what) {
  switch (error) {
    case ports::StoreError::full_disk:
      return {ErrorCode::disk_full, std::string(what)};
    case ports::StoreError::corrupt:
      return {ErrorCode::store_corrupt, std::string(what)};
    case ports::StoreError::stopped:
    case ports::StoreError::unavailable:
    case ports::StoreError::unknown_outcome:
      return {ErrorCode::store_failed, std::string(what)};
  }
  return {ErrorCode::store_failed, std::string(what)};
}

}  // namespace

std::expected<std::unique_ptr<RocksStore>, OpenError> StoreOpener::open(RocksStoreOptions options,
                                                                        rocksdb::Env* env) {
  auto database = Database::open(options, Access::write, env);
  if (!database) return std::unexpected(database.error());
  auto state = std::make_unique<StoreState>(std::move(options), std::move(*database));
  if (const auto done = StoreOpener(*state).recover(); !done) {
    return std::unexpected(done.error());
  }
  std::unique_ptr<RocksStore> store(new RocksStore(std::move(state)));
  if (const auto made = store->prepare_month(store->state_->options.now.wall); !made) {
    return std::unexpected(open_error_of(made.error(), "making the month"));
  }
  return store;
}

StoreOpener::Maybe<void> StoreOpener::recover() {
  using Step = Maybe<void> (StoreOpener::*)();
  constexpr Step kSteps[] = {
      &StoreOpener::read_facts,   &StoreOpener::load_tenants, &StoreOpener::load_changes,
      &StoreOpener::load_buckets, &StoreOpener::load_stock,   &StoreOpener::load_active_orders,
      &StoreOpener::load_lists,   &StoreOpener::load_outbox,  &StoreOpener::begin_run};
  for (const Step step : kSteps) {
    if (auto done = (this->*step)(); !done) return done;
  }
  return {};
}

template <typename Visit>
StoreOpener::Maybe<void> StoreOpener::for_each(Family family, Visit visit) {
  rocksdb::ReadOptions scan = scan_options();
  scan.fill_cache = false;
  scan.readahead_size = kScanReadahead;
  rocksdb::ColumnFamilyHandle* handle = state_.database->handle(family);
  const std::unique_ptr<rocksdb::Iterator> all(state_.database->db().NewIterator(scan, handle));
  for (all->SeekToFirst(); all->Valid(); all->Next()) {
    const std::string_view key = all->key().ToStringView();
    if (!visit(key, all->value().ToStringView())) {
      return std::unexpected(damaged_record(handle->GetName(), key));
    }
  }
  if (!all->status().ok()) {
    return std::unexpected(open_error_of(error_of(all->status()), all->status().ToString()));
  }
  return {};
}

template <typename Record>
StoreOpener::Maybe<Record> StoreOpener::fact(std::string_view key, Record absent) {
  rocksdb::PinnableSlice value;
  const auto found = state_.database->read(state_.database->handle(Family::meta), key, value);
  if (!found) return std::unexpected(open_error_of(found.error(), key));
  if (!*found) return absent;
  auto record = decode<Record>(key, value.ToStringView());
  if (!record) return std::unexpected(damaged_record("default", key));
  return std::move(*record);
}

StoreOpener::Maybe<void> StoreOpener::read_facts() {
  const auto boot = fact<std::string>(meta::kBoot, {});
  if (!boot) return std::unexpected(boot.error());
  const auto clock = fact<ClockRecord>(meta::kClock, {});
  if (!clock) return std::unexpected(clock.error());
  const auto run = fact<RunRecord>(meta::kRun, {.end = LastEnd::clean, .unclean_ends = 0});
  if (!run) return std::unexpected(run.error());
  auto marks = fact<std::vector<OrderId>>(meta::kMarks, {});
  if (!marks) return std::unexpected(marks.error());

  is_first_run_ = *clock == ClockRecord{};
  is_same_boot_ = !boot->empty() && *boot == state_.options.boot_id;
  state_.clock = *clock;
  if (const auto checked = check_clock(); !checked) return checked;
  const MonotonicTime now = state_.options.now.monotonic;
  state_.clock.limiter_time = is_same_boot_ ? std::max(now, clock->limiter_time) : now;
  // Where an operator took a clock that is further behind, the stored time was the wrong one.
  const domain::Duration behind = clock->wall - state_.options.now.wall;
  if (behind <= domain::limits::kMaxClockBehind) state_.recovery.latest = clock->wall;
  if (behind > domain::limits::kMaxClockBehind) ahead_ = behind;
  state_.clock.wall = std::max(state_.options.now.wall, state_.recovery.latest);
  const auto agreed = fact<std::uint64_t>(meta::kAgreed, 0);
  if (!agreed) return std::unexpected(agreed.error());
  state_.is_disagreement_stored =
      *agreed != 0 && state_.options.clock_check == ClockCheck::enforced;
  const domain::Instant believed = state_.is_disagreement_stored
                                       ? domain::Instant{static_cast<std::int64_t>(*agreed)}
                                       : state_.clock.wall;
  state_.evidence = domain::ClockEvidence({.wall = believed, .monotonic = now});
  if (run->end == LastEnd::unclean) {
    state_.run.unclean_ends = run->unclean_ends + 1;
    marked_ = std::move(*marks);
    std::ranges::sort(marked_);
  }
  state_.recovery.unclean_ends = state_.run.unclean_ends;
  return {};
}

StoreOpener::Maybe<void> StoreOpener::check_clock() const {
  if (is_first_run_ || state_.options.clock_check == ClockCheck::accepted) return {};
  const domain::Duration moved = state_.options.now.wall - state_.clock.wall;
  const bool is_near =
      moved.us >= -domain::limits::kMaxClockBehind.us && moved <= domain::limits::kMaxClockAhead;
  if (is_near) return {};
  return std::unexpected(
      OpenError{ErrorCode::clock_moved, fmt::format("the clock says {}, the last stored time is {}",
                                                    domain::to_rfc3339(state_.options.now.wall),
                                                    domain::to_rfc3339(state_.clock.wall))});
}

StoreOpener::Maybe<void> StoreOpener::load_tenants() {
  return for_each(Family::tenants, [this](std::string_view key, std::string_view value) {
    auto contract = decode<domain::Contract>(key, value);
    if (!contract) return false;
    const auto tenant = domain::TenantId::unchecked(std::string(key));
    const std::uint32_t number = state_.tenants.ensure(tenant);
    state_.work.set_contract(number, contract->weight);
    state_.contracts.put(tenant, *contract);
    state_.tenants.store_contract(number, std::move(*contract));
    return true;
  });
}

StoreOpener::Maybe<void> StoreOpener::load_changes() {
  return for_each(Family::changes, [this](std::string_view key, std::string_view value) {
    return changes_.add(key, value);
  });
}

StoreOpener::Maybe<void> StoreOpener::load_buckets() {
  const MonotonicTime now = state_.clock.limiter_time;
  std::size_t changed_rows = 0;
  auto done = for_each(Family::buckets, [&, this](std::string_view key, std::string_view value) {
    auto record = decode<BucketRecord>(key, value);
    if (!record) return false;
    const auto newer = changes_.bucket(key);
    if (newer) ++changed_rows;
    if (newer) record = *newer;
    const std::uint32_t number =
        state_.tenants.ensure(domain::TenantId::unchecked(std::string(key)));
    TenantRow& row = state_.tenants.row(number);
    row.is_bucket_stored = true;
    if (!row.stored) state_.work.set_weight(number, state_.options.default_contract.weight);
    const std::int64_t elapsed_ns =
        is_same_boot_ ? std::max<std::int64_t>(0, now.ns - record->at.ns) : 0;
    row.bucket = domain::TokenBucket::restore(record->contract, record->state, now, elapsed_ns);
    const domain::BucketContract in_force = state_.contract_of(&row).bucket;
    row.bucket->set_contract(in_force, now);
    // Stored again where the old record's time or contract means nothing under this run.
    if (newer || !is_same_boot_ || in_force != record->contract) {
      state_.writes.put(state_.database->handle(Family::buckets), key, row.bucket_record());
    }
    return true;
  });
  if (!done || changed_rows == changes_.bucket_rows()) return done;
  return std::unexpected(change_of_no_row());
}

StoreOpener::Maybe<void> StoreOpener::load_stock() {
  std::size_t changed_rows = 0;
  auto done = for_each(Family::stock, [&, this](std::string_view key, std::string_view value) {
    auto totals = decode<StockTotals>(key, value);
    if (!totals) return false;
    if (const auto newer = changes_.stock(key)) {
      ++changed_rows;
      totals = *newer;
      state_.writes.put(state_.database->handle(Family::stock), key, *totals);
    }
    state_.stock.load(key, *totals);
    return true;
  });
  if (!done || changed_rows == changes_.stock_rows()) return done;
  return std::unexpected(change_of_no_row());
}

StoreOpener::Maybe<void> StoreOpener::load_active_orders() {
  rocksdb::ColumnFamilyHandle* family = state_.database->handle(Family::active);
  // Ids sort by creation, so that first claims are first in, first out again.
  auto done = for_each(Family::active, [&](std::string_view key, std::string_view value) {
    if (key.size() != kIdBytes) return false;
    const OrderId id = *trailing_id(key);
    auto record = decode_order(id, key, value);
    if (!record || domain::is_terminal(record->order.status)) return false;
    Order& order = record->order;
    const bool is_marked = std::ranges::binary_search(marked_, id);
    if (is_marked) {
      ++order.interruptions;
      state_.recovery.interrupted.push_back(id);
    }
    const bool is_pulled = is_due_ahead(order.due);
    if (is_pulled) order.due = order.due - ahead_;
    if (is_marked || is_pulled) state_.writes.put_order(family, key, order, {});
    state_.work.put(order, state_.tenants.ensure(order.tenant), state_.options.now.wall);
    state_.lists.active.add(id, PublishedIds::tenant_hash(order.tenant.str()));
    return !order.holds_stock || state_.stock.rebuild_reservation(order);
  });
  if (!done) return done;
  state_.recovery.active = state_.work.size();
  state_.stock.publish();
  return {};
}

StoreOpener::Maybe<void> StoreOpener::load_lists() {
  auto done = for_each(Family::listed, [this](std::string_view key, std::string_view) {
    const auto dead_letter = id_of_tagged(kDeadLetterTag, key);
    const auto owed_refund = id_of_tagged(kOwedRefundTag, key);
    // Whose they are stands in the orders' records, which are not read for it.
    if (dead_letter) state_.lists.dead_letters.add(*dead_letter, PublishedIds::kAnyTenant);
    if (owed_refund) state_.lists.owed_refunds.add(*owed_refund, PublishedIds::kAnyTenant);
    return dead_letter || owed_refund;
  });
  state_.lists.publish();
  return done;
}

StoreOpener::Maybe<void> StoreOpener::load_outbox() {
  return for_each(Family::outbox, [this](std::string_view key, std::string_view value) {
    if (const auto order = id_of_tagged(kDeliveryTag, key)) {
      const auto record = decode<DeliveryRecord>(key, value);
      if (!record) return false;
      state_.outbox.put_delivery(
          *order, {.tenant = state_.tenants.ensure(record->tenant),
                   .attempt = record->attempt,
                   .due = is_due_ahead(record->due) ? record->due - ahead_ : record->due});
      return true;
    }
    ByteReader in(key);
    const bool is_batch = in.u8() == static_cast<std::uint8_t>(kBatchTag);
    const std::uint64_t sequence = in.big64();
    const auto record = decode<BatchRecord>(key, value);
    if (!is_batch || !in.done() || !record) return false;
    std::vector<Month> months;
    for (const BatchRecord::Entry& entry : record->entries) {
      const Month month = entry.order.month();
      if (std::ranges::find(months, month) == months.end()) months.push_back(month);
    }
    state_.outbox.add_batch(sequence, std::move(months));
    state_.clock.next_batch = std::max(state_.clock.next_batch, sequence + 1);
    return true;
  });
}

StoreOpener::Maybe<void> StoreOpener::begin_run() {
  rocksdb::ColumnFamilyHandle* family = state_.database->handle(Family::meta);
  state_.run.end = LastEnd::unclean;
  state_.writes.put(family, meta::kRun, state_.run);
  state_.writes.put(family, meta::kBoot, state_.options.boot_id);
  state_.writes.put(family, meta::kClock, state_.clock);
  if (!state_.is_disagreement_stored) {
    state_.writes.remove(family, meta::kAgreed, Removal::any);
  }
  // What was running has been told once; nothing runs yet.
  state_.writes.put(family, meta::kMarks, std::vector<OrderId>{});
  // Every row that was behind is among these writes.
  for (const std::uint64_t sequence : changes_.sequences()) {
    state_.writes.remove(state_.database->handle(Family::changes), changes_key(sequence),
                         Removal::written_once);
    state_.changes.first = state_.changes.next = sequence + 1;
  }
  const auto done = state_.database->write(state_.writes);
  if (!done) return std::unexpected(open_error_of(done.error(), "storing that the run began"));
  state_.database->set_wall(state_.evidence.trusted(state_.options.now));
  return {};
}

}  // namespace penstock::rocksdb_store
