#include "adapters/rocksdb/copy_source.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "adapters/rocksdb/changes_log.h"
#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/record_codec.h"
#include "adapters/rocksdb/state_codec.h"
#include "domain/check.h"

namespace penstock::rocksdb_store {
namespace {

using domain::ErrorCode;
using domain::Month;
using domain::OrderId;
using domain::TenantId;
using Done = CopySource::Done;

/// Read through ahead of the iterator: a copy reads everything once.
constexpr std::size_t kReadahead = 2U << 20;

enum class Visited : std::uint8_t { go_on, end, corrupt };

OpenError failed(const rocksdb::Status& status) {
  const bool is_damage = status.IsCorruption();
  return {is_damage ? ErrorCode::store_corrupt : ErrorCode::store_failed, status.ToString()};
}

Visited answered(bool wants_more) {
  return wants_more ? Visited::go_on : Visited::end;
}

/// Calls visit(key, value) for the entries of `family` with keys > `after` that begin with
/// `prefix`.
template <typename Visit>
Done scan(const Database& database, rocksdb::ColumnFamilyHandle* family, const std::string& prefix,
          const std::string& after, Visit visit) {
  rocksdb::ReadOptions options = scan_options();
  options.fill_cache = false;
  options.readahead_size = kReadahead;
  const std::unique_ptr<rocksdb::Iterator> all(database.db().NewIterator(options, family));
  for (all->Seek(std::max(prefix, after)); all->Valid(); all->Next()) {
    const std::string_view key = all->key().ToStringView();
    if (!key.starts_with(prefix)) break;
    if (key == after) continue;
    const Visited visited = visit(key, all->value().ToStringView());
    if (visited == Visited::corrupt) {
      return std::unexpected(damaged_record(family->GetName(), key));
    }
    if (visited == Visited::end) return {};
  }
  if (!all->status().ok()) return std::unexpected(failed(all->status()));
  return {};
}

template <typename Record>
std::expected<std::optional<Record>, OpenError> fact(const Database& database,
                                                     std::string_view key) {
  rocksdb::PinnableSlice value;
  const auto found = database.read(database.handle(Family::meta), key, value);
  if (!found) return std::unexpected(OpenError{ErrorCode::store_failed, std::string(key)});
  if (!*found) return std::nullopt;
  auto record = decode<Record>(key, value.ToStringView());
  if (!record) return std::unexpected(damaged_record("default", key));
  return std::move(*record);
}

/// The delivery attempts of a month in the order of their ids, read along with the orders.
class AttemptReader {
 public:
  AttemptReader(const Database& database, rocksdb::ColumnFamilyHandle* month)
      : iterator_(database.db().NewIterator(scan_options(), month)) {}

  /// Appends those of `order`, which is behind every order asked for before; false on damage.
  bool append(const OrderId& order, std::vector<ports::Delivered>& deliveries) {
    const std::string prefix = tagged_id_key(kAttemptTag, order);
    if (!is_placed_) iterator_->Seek(prefix);
    is_placed_ = true;
    while (iterator_->Valid() && iterator_->key().ToStringView() < prefix) iterator_->Next();
    for (; iterator_->Valid(); iterator_->Next()) {
      const std::string_view key = iterator_->key().ToStringView();
      if (!key.starts_with(prefix)) break;
      const auto attempt = decode<NoteRecord>(key, iterator_->value().ToStringView());
      ByteReader number(key.substr(prefix.size()));
      const auto count = static_cast<std::int32_t>(number.big32());
      if (!attempt || !number.done()) return false;
      deliveries.push_back({.at = attempt->at, .attempt = count, .reason = attempt->reason});
    }
    return iterator_->status().ok();
  }

 private:
  std::unique_ptr<rocksdb::Iterator> iterator_;
  bool is_placed_ = false;
};

using Notes = std::map<std::uint64_t, NoteRecord>;

/// When the terminal batches that have orders in the month were worked off.
std::expected<Notes, OpenError> notes_of(const Database& database,
                                         rocksdb::ColumnFamilyHandle* month) {
  Notes notes;
  const auto done = scan(database, month, std::string(1, kNoteTag), {},
                         [&](std::string_view key, std::string_view value) {
                           const auto note = decode<NoteRecord>(key, value);
                           ByteReader sequence(key.substr(1));
                           const std::uint64_t number = sequence.big64();
                           if (!note || !sequence.done()) return Visited::corrupt;
                           notes.emplace(number, *note);
                           return Visited::go_on;
                         });
  if (!done) return std::unexpected(done.error());
  return notes;
}

}  // namespace

CopySource::CopySource(std::unique_ptr<Database> database)
    : database_(std::move(database)), changes_(std::make_unique<StoredChanges>()) {}
CopySource::~CopySource() = default;

std::expected<std::unique_ptr<CopySource>, OpenError> CopySource::open(const std::string& path,
                                                                       CopyAccess access) {
  RocksStoreOptions options;
  options.path = path;
  options.seal_check = SealCheck::ignored;
  // Every table is opened now and held, so that one that a server replaces can be read on.
  if (access == CopyAccess::beside_a_server) {
    options.max_open_files = -1;
    options.lock = StoreLock::none;
  }
  auto database = Database::open(
      options, access == CopyAccess::exclusive ? Access::write : Access::read_only, nullptr);
  if (!database) return std::unexpected(database.error());
  std::unique_ptr<CopySource> source(new CopySource(std::move(*database)));
  if (auto read = source->read_facts(); !read) return std::unexpected(read.error());
  if (auto read = source->read_changes(); !read) return std::unexpected(read.error());
  return source;
}

Done CopySource::read_facts() {
  if (const auto status = database_->db().GetDbIdentity(facts_.identity); !status.ok()) {
    return std::unexpected(failed(status));
  }
  const auto clock = fact<ClockRecord>(*database_, meta::kClock);
  if (!clock) return std::unexpected(clock.error());
  const auto run = fact<RunRecord>(*database_, meta::kRun);
  if (!run) return std::unexpected(run.error());
  const auto marks = fact<std::vector<OrderId>>(*database_, meta::kMarks);
  if (!marks) return std::unexpected(marks.error());
  auto sealed = fact<std::string>(*database_, meta::kSealed);
  if (!sealed) return std::unexpected(sealed.error());
  facts_.sealed_for = std::move(*sealed);
  if (*clock) facts_.wall = (*clock)->wall;
  if (*run && (*run)->end == LastEnd::unclean && *marks) {
    interrupted_ = **marks;
    std::ranges::sort(interrupted_);
  }
  return settle(*clock ? (*clock)->next_batch : 1);
}

Done CopySource::read_changes() {
  rocksdb::ColumnFamilyHandle* const family = database_->handle(Family::changes);
  if (family == nullptr) return {};
  return scan(*database_, family, {}, {}, [&](std::string_view key, std::string_view value) {
    return changes_->add(key, value) ? Visited::go_on : Visited::corrupt;
  });
}

Done CopySource::settle(std::uint64_t next_batch) {
  facts_.settled_batches = next_batch;
  const auto lower = [this](std::uint64_t sequence) {
    facts_.settled_batches = std::min(facts_.settled_batches, sequence);
  };
  auto done = batches([&](const ports::TerminalBatch& batch) {
    lower(batch.sequence);
    return false;  // the first is the oldest
  });
  if (!done) return done;
  std::optional<OrderId> lost;
  done = deliveries([&](const ports::CopiedDelivery& delivery) {
    const MonthHandle month = database_->month(delivery.order.month());
    const std::string key = tagged_id_key(kOrderTag, delivery.order);
    rocksdb::PinnableSlice value;
    const auto found = month ? database_->read(month.get(), key, value) : false;
    const auto record = found && *found ? decode_order(delivery.order, key, value.ToStringView())
                                        : std::unexpected(DecodeError::corrupt);
    if (!record) lost = delivery.order;
    if (record) lower(record->extras.batch_sequence);
    return !lost;
  });
  if (!done || !lost) return done;
  return std::unexpected(damaged_record("outbox", tagged_id_key(kDeliveryTag, *lost)));
}

std::vector<Month> CopySource::months() const {
  std::vector<Month> all;
  for (const auto& [month, handle] : database_->months()) all.push_back(month);
  std::ranges::reverse(all);
  return all;
}

Done CopySource::seal(const std::string& target) {
  WriteSet writes;
  writes.put(database_->handle(Family::meta), meta::kSealed, target);
  writes.put(database_->handle(Family::meta), meta::kLayout, kSealMark | kLayoutVersion);
  if (!database_->write(writes)) {
    return std::unexpected(OpenError{ErrorCode::store_failed, "sealing the store"});
  }
  facts_.sealed_for = target;
  return {};
}

Done CopySource::unseal() {
  WriteSet writes;
  writes.put(database_->handle(Family::meta), meta::kLayout, kLayoutVersion);
  writes.remove(database_->handle(Family::meta), meta::kSealed, Removal::any);
  if (!database_->write(writes)) {
    return std::unexpected(OpenError{ErrorCode::store_failed, "taking the seal back"});
  }
  facts_.sealed_for.reset();
  return {};
}

Done CopySource::ended(Month month, const std::optional<OrderId>& after,
                       const Visit<EndedOrder>& visit) const {
  const MonthHandle handle = database_->month(month);
  if (!handle) return {};
  const auto notes = notes_of(*database_, handle.get());
  if (!notes) return std::unexpected(notes.error());
  AttemptReader attempts(*database_, handle.get());
  const std::string from = after ? tagged_id_key(kOrderTag, *after) : std::string{};
  return scan(*database_, handle.get(), std::string(1, kOrderTag), from,
              [&](std::string_view key, std::string_view value) {
                const auto id = id_of_tagged(kOrderTag, key);
                auto record =
                    id ? decode_order(*id, key, value) : std::unexpected(DecodeError::corrupt);
                if (!record) return Visited::corrupt;
                EndedOrder order{.stored = {.order = std::move(record->order),
                                            .receipt = std::string(record->extras.receipt),
                                            .deliveries = {}},
                                 .batch = record->extras.batch_sequence};
                if (const auto note = notes->find(order.batch); note != notes->end()) {
                  order.stored.deliveries.push_back({.at = note->second.at});
                  if (!attempts.append(*id, order.stored.deliveries)) return Visited::corrupt;
                }
                return answered(visit(order));
              });
}

std::string CopySource::place_of(const ports::CopiedKey& key) {
  return scoped_key(key.tenant.str(), key.key.str());
}

Done CopySource::keys(const std::string& after, const Visit<ports::CopiedKey>& visit) const {
  return scan(
      *database_, database_->handle(Family::idempotency), {}, after,
      [&](std::string_view key, std::string_view value) {
        auto scope = scope_of(key);
        const auto record = decode<domain::IdempotencyRecord>(key, value);
        if (!scope || !record) return Visited::corrupt;
        return answered(visit({.tenant = TenantId::unchecked(std::move(scope->first)),
                               .key = domain::IdempotencyKey::unchecked(std::move(scope->second)),
                               .record = *record}));
      });
}

Done CopySource::active(const Visit<domain::Order>& visit) const {
  return scan(*database_, database_->handle(Family::active), {}, {},
              [&](std::string_view key, std::string_view value) {
                const auto id = key.size() == kIdBytes ? trailing_id(key) : std::nullopt;
                auto record =
                    id ? decode_order(*id, key, value) : std::unexpected(DecodeError::corrupt);
                if (!record) return Visited::corrupt;
                if (std::ranges::binary_search(interrupted_, *id)) ++record->order.interruptions;
                return answered(visit(record->order));
              });
}

Done CopySource::stock(const Visit<ports::CopiedStock>& visit) const {
  std::map<std::string, std::int64_t, std::less<>> reserved;
  auto done = active([&](const domain::Order& order) {
    if (!order.holds_stock) return true;
    for (const domain::Item& item : order.items) {
      reserved[scoped_key(order.tenant.str(), item.product.str())] += item.quantity;
    }
    return true;
  });
  if (!done) return done;
  return scan(
      *database_, database_->handle(Family::stock), {}, {},
      [&](std::string_view key, std::string_view value) {
        auto scope = scope_of(key);
        auto totals = decode<StockTotals>(key, value);
        if (!scope || !totals) return Visited::corrupt;
        if (const auto newer = changes_->stock(key)) totals = *newer;
        const auto held = reserved.find(key);
        return answered(visit({.tenant = TenantId::unchecked(std::move(scope->first)),
                               .product = domain::ProductId::unchecked(std::move(scope->second)),
                               .stock = {.received = totals->received,
                                         .reserved = held == reserved.end() ? 0 : held->second,
                                         .sold = totals->sold}}));
      });
}

Done CopySource::buckets(const Visit<ports::CopiedBucket>& visit) const {
  return scan(*database_, database_->handle(Family::buckets), {}, {},
              [&](std::string_view key, std::string_view value) {
                auto record = decode<BucketRecord>(key, value);
                if (!record) return Visited::corrupt;
                if (const auto newer = changes_->bucket(key)) record = *newer;
                return answered(visit({.tenant = TenantId::unchecked(std::string(key)),
                                       .contract = record->contract,
                                       .state = record->state}));
              });
}

Done CopySource::contracts(const Visit<ports::CopiedContract>& visit) const {
  return scan(*database_, database_->handle(Family::tenants), {}, {},
              [&](std::string_view key, std::string_view value) {
                const auto record = decode<domain::Contract>(key, value);
                if (!record) return Visited::corrupt;
                return answered(
                    visit({.tenant = TenantId::unchecked(std::string(key)), .contract = *record}));
              });
}

Done CopySource::batches(const Visit<ports::TerminalBatch>& visit) const {
  return scan(*database_, database_->handle(Family::outbox), std::string(1, kBatchTag), {},
              [&](std::string_view key, std::string_view value) {
                const auto record = decode<BatchRecord>(key, value);
                ByteReader number(key.substr(1));
                ports::TerminalBatch batch{.sequence = number.big64(), .entries = {}};
                if (!record || !number.done()) return Visited::corrupt;
                for (const BatchRecord::Entry& entry : record->entries) {
                  batch.entries.push_back({.order = entry.order,
                                           .tenant = record->tenants[entry.tenant],
                                           .status = entry.status});
                }
                return answered(visit(batch));
              });
}

Done CopySource::deliveries(const Visit<ports::CopiedDelivery>& visit) const {
  return scan(*database_, database_->handle(Family::outbox), std::string(1, kDeliveryTag), {},
              [&](std::string_view key, std::string_view value) {
                const auto order = id_of_tagged(kDeliveryTag, key);
                const auto record = decode<DeliveryRecord>(key, value);
                if (!order || !record) return Visited::corrupt;
                return answered(visit({.order = *order,
                                       .tenant = record->tenant,
                                       .attempt = record->attempt,
                                       .due = record->due}));
              });
}

}  // namespace penstock::rocksdb_store
