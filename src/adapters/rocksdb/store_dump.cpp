#include "adapters/rocksdb/store_dump.h"

#include <map>
#include <memory>
#include <utility>

#include "adapters/rocksdb/changes_log.h"
#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/record_codec.h"
#include "adapters/rocksdb/state_codec.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Order;
using domain::TenantId;

class Dump {
 public:
  Dump(const Database& database, DumpVisitor& visitor) : database_(database), visitor_(visitor) {}

  std::expected<void, OpenError> run();

 private:
  using Visit = bool (Dump::*)(std::string_view key, std::string_view value);

  /// Tells every entry of a family; what `visit` cannot read is told as corrupt.
  std::expected<void, OpenError> tell(rocksdb::ColumnFamilyHandle* family, Visit visit);

  bool active(std::string_view key, std::string_view value);
  bool month(std::string_view key, std::string_view value);
  bool changes(std::string_view key, std::string_view value);
  bool stock(std::string_view key, std::string_view value);
  bool idempotency(std::string_view key, std::string_view value);
  bool bucket(std::string_view key, std::string_view value);
  bool contract(std::string_view key, std::string_view value);
  bool outbox(std::string_view key, std::string_view value);
  bool listed(std::string_view key, std::string_view value);
  bool fact(std::string_view key, std::string_view value);

  const Database& database_;
  DumpVisitor& visitor_;
  std::map<std::string, std::int64_t, std::less<>> reserved_;  ///< by the key of the stock
  StoredChanges changes_;
  std::size_t changed_stock_ = 0;
  std::size_t changed_buckets_ = 0;
};

std::expected<void, OpenError> Dump::run() {
  constexpr std::pair<Family, Visit> kFamiliesInOrder[] = {
      {Family::meta, &Dump::fact},        {Family::active, &Dump::active},
      {Family::changes, &Dump::changes},  {Family::stock, &Dump::stock},
      {Family::buckets, &Dump::bucket},   {Family::idempotency, &Dump::idempotency},
      {Family::tenants, &Dump::contract}, {Family::outbox, &Dump::outbox},
      {Family::listed, &Dump::listed}};
  for (const auto& [month, handle] : database_.months()) {
    if (auto done = tell(handle.get(), &Dump::month); !done) return done;
  }
  for (const auto& [family, visit] : kFamiliesInOrder) {
    rocksdb::ColumnFamilyHandle* const handle = database_.handle(family);
    if (handle == nullptr) continue;
    if (auto done = tell(handle, visit); !done) return done;
  }
  // A change is of a row that has a record.
  if (changed_stock_ != changes_.stock_rows()) visitor_.corrupt("changes", "stock");
  if (changed_buckets_ != changes_.bucket_rows()) visitor_.corrupt("changes", "buckets");
  return {};
}

bool Dump::changes(std::string_view key, std::string_view value) {
  return changes_.add(key, value);
}

std::expected<void, OpenError> Dump::tell(rocksdb::ColumnFamilyHandle* family, Visit visit) {
  rocksdb::ReadOptions scan = scan_options();
  scan.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> all(database_.db().NewIterator(scan, family));
  for (all->SeekToFirst(); all->Valid(); all->Next()) {
    const std::string_view key = all->key().ToStringView();
    if ((this->*visit)(key, all->value().ToStringView())) continue;
    visitor_.corrupt(family->GetName(), hexadecimal(key));
  }
  if (all->status().ok()) return {};
  return std::unexpected(OpenError{domain::ErrorCode::store_corrupt, all->status().ToString()});
}

bool Dump::active(std::string_view key, std::string_view value) {
  const auto id = trailing_id(key);
  if (!id || key.size() != kIdBytes) return false;
  const auto record = decode_order(*id, key, value);
  if (!record) return false;
  const Order& order = record->order;
  visitor_.active_order(order);
  if (!order.holds_stock) return true;
  for (const domain::Item& item : order.items) {
    reserved_[scoped_key(order.tenant.str(), item.product.str())] += item.quantity;
  }
  return true;
}

bool Dump::month(std::string_view key, std::string_view value) {
  if (const auto id = id_of_tagged(kOrderTag, key)) {
    const auto record = decode_order(*id, key, value);
    if (!record) return false;
    visitor_.ended_order(record->order, record->extras.receipt);
    return true;
  }
  if (key.starts_with(kTenantTag)) return decode<domain::Status>(key, value).has_value();
  return (key.starts_with(kNoteTag) || key.starts_with(kAttemptTag)) &&
         decode<NoteRecord>(key, value).has_value();
}

bool Dump::stock(std::string_view key, std::string_view value) {
  const auto scope = scope_of(key);
  auto totals = decode<StockTotals>(key, value);
  if (!scope || !totals) return false;
  if (const auto newer = changes_.stock(key)) {
    ++changed_stock_;
    totals = *newer;
  }
  const auto reserved = reserved_.find(key);
  visitor_.stock(TenantId::unchecked(scope->first), domain::ProductId::unchecked(scope->second),
                 {.received = totals->received,
                  .reserved = reserved == reserved_.end() ? 0 : reserved->second,
                  .sold = totals->sold});
  return true;
}

bool Dump::idempotency(std::string_view key, std::string_view value) {
  const auto scope = scope_of(key);
  const auto record = decode<domain::IdempotencyRecord>(key, value);
  if (!scope || !record) return false;
  visitor_.idempotency(TenantId::unchecked(scope->first),
                       domain::IdempotencyKey::unchecked(scope->second), *record);
  return true;
}

bool Dump::bucket(std::string_view key, std::string_view value) {
  auto record = decode<BucketRecord>(key, value);
  if (!record) return false;
  if (const auto newer = changes_.bucket(key)) {
    ++changed_buckets_;
    record = *newer;
  }
  visitor_.bucket(TenantId::unchecked(std::string(key)),
                  {.contract = record->contract, .state = record->state, .at = record->at});
  return true;
}

bool Dump::contract(std::string_view key, std::string_view value) {
  const auto record = decode<domain::Contract>(key, value);
  if (!record) return false;
  visitor_.contract(TenantId::unchecked(std::string(key)), *record);
  return true;
}

bool Dump::outbox(std::string_view key, std::string_view value) {
  if (const auto order = id_of_tagged(kDeliveryTag, key)) {
    const auto record = decode<DeliveryRecord>(key, value);
    if (record) visitor_.delivery(*order, record->attempt);
    return record.has_value();
  }
  const auto batch = decode<BatchRecord>(key, value);
  if (!batch) return false;
  for (const BatchRecord::Entry& entry : batch->entries) {
    visitor_.waiting_notification(entry.order);
  }
  return true;
}

bool Dump::listed(std::string_view key, std::string_view value) {
  if (!decode<domain::Status>(key, value)) return false;
  if (const auto dead = id_of_tagged(kDeadLetterTag, key)) {
    visitor_.dead_letter(*dead);
    return true;
  }
  const auto owed = id_of_tagged(kOwedRefundTag, key);
  if (owed) visitor_.owed_refund(*owed);
  return owed.has_value();
}

bool Dump::fact(std::string_view key, std::string_view value) {
  if (key == meta::kLayout || key == meta::kAgreed)
    return decode<std::uint64_t>(key, value).has_value();
  if (key == meta::kBoot || key == meta::kSealed)
    return decode<std::string>(key, value).has_value();
  if (key == meta::kClock) return decode<ClockRecord>(key, value).has_value();
  if (key == meta::kRun) return decode<RunRecord>(key, value).has_value();
  if (key == meta::kDropped) {
    const auto text = decode<std::string>(key, value);
    const auto first_kept = text ? domain::parse_month(*text) : std::nullopt;
    if (first_kept) visitor_.months_dropped(*first_kept);
    return first_kept.has_value();
  }
  return key == meta::kMarks && decode<std::vector<domain::OrderId>>(key, value).has_value();
}

}  // namespace

std::expected<void, OpenError> dump(const std::string& path, DumpVisitor& visitor,
                                    rocksdb::Env* env) {
  RocksStoreOptions options;
  options.path = path;
  const auto database = Database::open(options, Access::read_only, env);
  if (!database) return std::unexpected(database.error());
  return Dump(**database, visitor).run();
}

}  // namespace penstock::rocksdb_store
