#include "adapters/rocksdb/rocks_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include "adapters/rocksdb/applier.h"
#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/rocks_reader.h"
#include "adapters/rocksdb/store_opener.h"
#include "adapters/rocksdb/store_state.h"
#include "domain/check.h"
#include "domain/limits.h"

namespace penstock::rocksdb_store {

using domain::Duration;
using domain::Month;
using domain::Order;
using domain::OrderId;
using ports::StoreError;

namespace {

constexpr Duration kMonthCheckInterval = Duration::hours(1);
constexpr Duration kMonthLead = Duration::hours(48);  // a month is made this long before it begins
constexpr std::size_t kForgottenInAWrite = 1'000;

}  // namespace

std::expected<std::unique_ptr<RocksStore>, OpenError> RocksStore::open(RocksStoreOptions options) {
  return StoreOpener::open(std::move(options), nullptr);
}

RocksStore::RocksStore(std::unique_ptr<StoreState> state)
    : state_(std::move(state)),
      reader_(std::make_unique<RocksReader>(*state_->database, state_->lists, state_->stock,
                                            state_->contracts, state_->options.default_contract)) {}

RocksStore::~RocksStore() = default;

const ports::OrderReader& RocksStore::reader() const {
  return *reader_;
}

std::expected<std::vector<ports::CommandResult>, StoreError> RocksStore::apply(
    std::span<ports::Command> commands, domain::Now now) {
  PENSTOCK_CHECK(commands.size() <= domain::limits::kMaxBatch, "a batch is bounded");
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  if (const auto made = prepare_month(now.wall); !made) return std::unexpected(made.error());
  return Applier(*state_, now).run(commands);
}

std::expected<void, StoreError> RocksStore::prepare_month(domain::Instant now) {
  if (now < next_month_check_) return {};
  next_month_check_ = now + kMonthCheckInterval;
  for (const domain::Instant at : {now, now + kMonthLead}) {
    const auto made = state_->database->ensure_month(domain::month_of(at));
    if (!made) return std::unexpected(made.error());
  }
  return {};
}

std::expected<std::vector<Order>, StoreError> RocksStore::claim_within(domain::Stage stage,
                                                                       std::size_t limit,
                                                                       ports::ClaimPlaces* places,
                                                                       domain::Now now) {
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  const auto leased = state_->work.claim(stage, limit, places, state_->tenants, now.wall);
  std::vector<Order> claimed;
  claimed.reserve(leased.size());
  for (const ActiveOrder* active : leased) {
    auto order = load_active(*state_, *active);
    if (!order) return std::unexpected(order.error());
    claimed.push_back(std::move(*order));
  }
  return claimed;
}

std::expected<std::optional<Order>, StoreError> RocksStore::claim_one(const OrderId& order) {
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  const ActiveOrder* active = state_->work.lease(order);
  if (active == nullptr) return std::nullopt;
  auto loaded = load_active(*state_, *active);
  if (!loaded) return std::unexpected(loaded.error());
  return std::move(*loaded);
}

void RocksStore::release(const OrderId& order, domain::Instant due) {
  state_->work.release(order, due);
}

std::expected<void, StoreError> RocksStore::mark(std::span<const OrderId> orders) {
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  state_->writes.clear();
  state_->writes.put(state_->database->handle(Family::meta), meta::kMarks,
                     std::vector<OrderId>(orders.begin(), orders.end()));
  return state_->database->write(state_->writes);
}

std::expected<std::vector<ports::TerminalBatch>, StoreError> RocksStore::take_terminal_batches(
    std::size_t limit) {
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  std::vector<ports::TerminalBatch> batches;
  rocksdb::PinnableSlice value;
  for (const std::uint64_t sequence : state_->outbox.take_batches(limit)) {
    const std::string key = sequence_key(kBatchTag, sequence);
    const auto found = state_->database->read(state_->database->handle(Family::outbox), key, value);
    if (!found) return std::unexpected(state_->database->stop(found.error()));
    const auto record = decode<BatchRecord>(key, value.ToStringView());
    if (!*found || !record) return std::unexpected(state_->database->stop(StoreError::corrupt));
    ports::TerminalBatch& batch = batches.emplace_back();
    batch.sequence = sequence;
    batch.entries.reserve(record->entries.size());
    for (const BatchRecord::Entry& entry : record->entries) {
      batch.entries.push_back(
          {.order = entry.order, .tenant = record->tenants[entry.tenant], .status = entry.status});
    }
  }
  return batches;
}

std::expected<std::vector<ports::Delivery>, StoreError> RocksStore::take_deliveries(
    std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) {
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  std::vector<std::uint32_t> numbers;
  numbers.reserve(left_out.size());
  for (const domain::TenantId& tenant : left_out) numbers.push_back(state_->tenants.ensure(tenant));
  std::vector<ports::Delivery> taken;
  while (taken.size() < limit) {
    const auto delivery = state_->outbox.take_delivery(now.wall, numbers);
    if (!delivery) break;
    const auto& [order, pending] = *delivery;
    taken.push_back({.order = order,
                     .tenant = state_->tenants.row(pending.tenant).id,
                     .attempt = pending.attempt});
  }
  return taken;
}

ports::StoreDepth RocksStore::depth() const {
  ports::StoreDepth depth;
  state_->work.fill(depth, state_->tenants);
  depth.terminal_batches = state_->outbox.batches();
  depth.deliveries = state_->outbox.deliveries();
  return depth;
}

std::optional<domain::Instant> RocksStore::next_due() const {
  const auto order = state_->work.next_due();
  const auto delivery = state_->outbox.next_due();
  if (!order || !delivery) return order ? order : delivery;
  return std::min(*order, *delivery);
}

ports::Recovery RocksStore::recovery() const {
  return state_->recovery;
}

std::expected<void, StoreError> RocksStore::settled() {
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  state_->run.unclean_ends = 0;
  state_->writes.clear();
  state_->writes.put(state_->database->handle(Family::meta), meta::kRun, state_->run);
  return state_->database->write(state_->writes);
}

std::expected<void, StoreError> RocksStore::close() {
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  state_->run = {.end = LastEnd::clean, .unclean_ends = 0};
  state_->writes.clear();
  state_->writes.put(state_->database->handle(Family::meta), meta::kRun, state_->run);
  if (auto done = state_->database->write(state_->writes); !done) return done;
  if (auto done = state_->database->end(); !done) return done;
  state_->database->stop(StoreError::stopped);
  return {};
}

bool RocksStore::agrees_with_clock(domain::Now now) const {
  return state_->evidence.agrees(now);
}

std::expected<std::vector<Month>, StoreError> RocksStore::drop_months_before(Month first_kept,
                                                                             domain::Now now) {
  if (const auto error = state_->database->stopped()) return std::unexpected(*error);
  const Duration retention =
      std::max(domain::limits::kMinHistoryRetention, state_->options.idempotency_retention);
  Month kept = std::min(first_kept, domain::month_of(state_->evidence.trusted(now) - retention));
  if (const auto month = state_->work.oldest_month()) kept = std::min(kept, *month);
  if (const auto month = state_->outbox.oldest_month()) kept = std::min(kept, *month);
  std::vector<Month> dropped;
  for (const auto& [month, handle] : state_->database->months()) {
    if (month < kept) dropped.push_back(month);
  }
  if (!dropped.empty()) {
    // Said first: what was sold is summed over all history, and an audit must know that it is gone.
    state_->writes.clear();
    state_->writes.put(state_->database->handle(Family::meta), meta::kDropped, to_string(kept));
    if (const auto done = state_->database->write(state_->writes); !done) {
      return std::unexpected(done.error());
    }
  }
  for (const Month month : dropped) {
    if (const auto done = state_->database->drop_month(month); !done) {
      return std::unexpected(done.error());
    }
  }
  // Whether months were dropped now or not: the call that did may have died before this.
  if (const auto done = forget_dead_letters_before(kept); !done) {
    return std::unexpected(done.error());
  }
  std::ranges::reverse(dropped);
  return dropped;
}

std::expected<void, StoreError> RocksStore::forget_dead_letters_before(Month first_kept) {
  Database& database = *state_->database;
  rocksdb::ColumnFamilyHandle* listed = database.handle(Family::listed);
  const std::string first = tagged_id_key(kDeadLetterTag, OrderId{});
  const std::string end = tagged_id_key(kDeadLetterTag, first_id_of(domain::start_of(first_kept)));
  const std::unique_ptr<rocksdb::Iterator> found(database.db().NewIterator(scan_options(), listed));
  state_->writes.clear();
  std::size_t forgotten = 0;
  // One by one: iterators do not look for ranges that were deleted at once.
  for (found->Seek(first); found->Valid() && found->key().compare(end) < 0; found->Next()) {
    state_->writes.remove(listed, found->key().ToStringView(), Removal::any);
    if (const auto id = id_of_tagged(kDeadLetterTag, found->key().ToStringView())) {
      state_->lists.dead_letters.remove(*id);
    }
    if (++forgotten % kForgottenInAWrite != 0) continue;
    if (const auto done = database.write(state_->writes); !done) return done;
  }
  if (!found->status().ok()) return std::unexpected(database.stop(error_of(found->status())));
  if (!state_->writes.empty()) {
    if (const auto done = database.write(state_->writes); !done) return done;
  }
  state_->lists.publish();
  return {};
}

}  // namespace penstock::rocksdb_store
