#include "adapters/rocksdb/rocks_reader.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/order_list.h"
#include "adapters/rocksdb/record_codec.h"
#include "adapters/rocksdb/state_codec.h"
#include "domain/limits.h"
#include "ports/page_budget.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Order;
using domain::OrderId;
using domain::TenantId;
using ports::OrderPage;
using ports::StoredOrder;
using ports::StoreError;

std::size_t page_size(std::size_t limit) {
  return std::clamp<std::size_t>(limit, 1, domain::limits::kMaxPage);
}

/// The smaller of two keys that may be at their end.
std::optional<std::string> smaller(const rocksdb::Iterator& left, const rocksdb::Iterator& right) {
  if (!left.Valid() && !right.Valid()) return std::nullopt;
  if (!right.Valid()) return left.key().ToString();
  if (!left.Valid()) return right.key().ToString();
  return std::min(left.key().ToString(), right.key().ToString());
}

}  // namespace

std::expected<void, StoreError> RocksReader::check_running() const {
  if (const auto error = database_.stopped()) return std::unexpected(*error);
  return {};
}

std::expected<std::optional<StoredOrder>, StoreError> RocksReader::find(
    const OrderId& order) const {
  if (const auto running = check_running(); !running) return std::unexpected(running.error());
  // Active first: an order that ends between the two reads is in its month by the second.
  rocksdb::PinnableSlice value;
  const auto active = database_.read(database_.handle(Family::active), order.view(), value);
  if (!active) return std::unexpected(active.error());
  if (*active) {
    auto record = decode_order(order, order.view(), value.ToStringView());
    if (!record) return std::unexpected(StoreError::corrupt);
    return StoredOrder{.order = std::move(record->order), .receipt = {}, .deliveries = {}};
  }
  const MonthHandle month = database_.month(order.month());
  if (!month) return std::nullopt;
  const std::string key = tagged_id_key(kOrderTag, order);
  const auto ended = database_.read(month.get(), key, value);
  if (!ended) return std::unexpected(ended.error());
  if (!*ended) return std::nullopt;
  auto record = decode_order(order, key, value.ToStringView());
  if (!record) return std::unexpected(StoreError::corrupt);
  auto deliveries = deliveries_of(order, month.get(), record->extras.batch_sequence);
  if (!deliveries) return std::unexpected(deliveries.error());
  return StoredOrder{.order = std::move(record->order),
                     .receipt = std::string(record->extras.receipt),
                     .deliveries = std::move(*deliveries)};
}

std::expected<std::vector<ports::Delivered>, StoreError> RocksReader::deliveries_of(
    const OrderId& order, rocksdb::ColumnFamilyHandle* month, std::uint64_t batch_sequence) const {
  std::vector<ports::Delivered> deliveries;
  const std::string note_key = sequence_key(kNoteTag, batch_sequence);
  rocksdb::PinnableSlice value;
  const auto noted = database_.read(month, note_key, value);
  if (!noted) return std::unexpected(noted.error());
  // Attempts follow the working off of the batch that led to them.
  if (!*noted) return deliveries;
  const auto note = decode<NoteRecord>(note_key, value.ToStringView());
  if (!note) return std::unexpected(StoreError::corrupt);
  deliveries.push_back({.at = note->at});

  const std::string prefix = tagged_id_key(kAttemptTag, order);
  const std::unique_ptr<rocksdb::Iterator> attempts(
      database_.db().NewIterator(scan_options(), month));
  for (attempts->Seek(prefix); attempts->Valid(); attempts->Next()) {
    const std::string_view key = attempts->key().ToStringView();
    if (!key.starts_with(prefix)) break;
    const auto attempt = decode<NoteRecord>(key, attempts->value().ToStringView());
    ByteReader number(key.substr(prefix.size()));
    const auto count = static_cast<std::int32_t>(number.big32());
    if (!attempt || !number.done()) return std::unexpected(StoreError::corrupt);
    deliveries.push_back({.at = attempt->at, .attempt = count, .reason = attempt->reason});
  }
  if (!attempts->status().ok()) return std::unexpected(error_of(attempts->status()));
  return deliveries;
}

std::expected<OrderPage, StoreError> RocksReader::list(const ports::OrderQuery& query) const {
  if (const auto running = check_running(); !running) return std::unexpected(running.error());
  return OrderList(database_, lists_.active, query).page();
}

template <typename Matches>
std::expected<OrderPage, StoreError> RocksReader::listed_page(const PublishedIds& listed,
                                                              const ListedQuery& query,
                                                              Matches matches) const {
  if (const auto running = check_running(); !running) return std::unexpected(running.error());
  OrderPage page;
  ports::PageBudget budget(query.max_bytes);
  const std::uint32_t tenant =
      query.tenant.empty() ? PublishedIds::kAnyTenant : PublishedIds::tenant_hash(query.tenant);
  OrderId last = query.after.value_or(OrderId{});
  std::size_t scanned = 0;
  for (std::size_t blocks = 0; blocks < kMaxIdBlocks; ++blocks) {
    const PublishedIds::Block block = listed.after(last, tenant, domain::limits::kMaxPage + 1);
    for (const OrderId& id : block.ids) {
      if (scanned++ == kMaxListedScanned) {
        page.next = last;
        return page;
      }
      auto stored = find(id);
      if (!stored) return std::unexpected(stored.error());
      // It may have left the list since, or its month may be gone.
      if (*stored && matches((*stored)->order)) {
        if (page.orders.size() == page_size(query.limit) || !budget.take((*stored)->order)) {
          page.next = page.orders.back().id;
          return page;
        }
        page.orders.push_back(std::move((*stored)->order));
      }
      last = id;
    }
    if (block.is_last) return page;
    last = block.reached;
  }
  page.next = last;
  return page;
}

std::expected<OrderPage, StoreError> RocksReader::dead_letters(
    const ports::DeadLetterQuery& query) const {
  const ListedQuery listed{.tenant = query.tenant.str(),
                           .after = query.after,
                           .limit = query.limit,
                           .max_bytes = query.max_bytes};
  return listed_page(lists_.dead_letters, listed, [&query](const Order& order) {
    return order.dead_letter && order.dead_letter->state != domain::DeadLetterState::discarded &&
           (query.tenant.empty() || order.tenant == query.tenant) &&
           (!query.stage || order.dead_letter->stage == *query.stage) &&
           (!query.error || order.dead_letter->last_error == *query.error);
  });
}

std::expected<OrderPage, StoreError> RocksReader::owed_refunds(std::optional<OrderId> after,
                                                               std::size_t limit) const {
  return listed_page(lists_.owed_refunds, {.after = after, .limit = limit},
                     [](const Order& order) { return domain::owes_refund(order); });
}

std::expected<std::optional<domain::Stock>, StoreError> RocksReader::stock(
    const TenantId& tenant, const domain::ProductId& product) const {
  if (const auto running = check_running(); !running) return std::unexpected(running.error());
  return stock_.published(scoped_key(tenant.str(), product.str()));
}

std::expected<domain::Contract, StoreError> RocksReader::contract(const TenantId& tenant) const {
  if (const auto running = check_running(); !running) return std::unexpected(running.error());
  return contracts_.find(tenant).value_or(default_contract_);
}

domain::Standing RocksReader::standing(const TenantId& tenant) const {
  return contracts_.contains(tenant) ? domain::Standing::own_contract : domain::Standing::grouped;
}

std::expected<std::vector<std::pair<TenantId, domain::Contract>>, StoreError>
RocksReader::contracts(const TenantId& after, std::size_t limit) const {
  if (const auto running = check_running(); !running) return std::unexpected(running.error());
  // A tenant with a contract is in the one family, a tenant with an order in the other.
  std::vector<rocksdb::Iterator*> opened;
  const rocksdb::Status status = database_.db().NewIterators(
      scan_options(), {database_.handle(Family::tenants), database_.handle(Family::buckets)},
      &opened);
  if (!status.ok()) return std::unexpected(error_of(status));
  const std::unique_ptr<rocksdb::Iterator> stored(opened[0]);
  const std::unique_ptr<rocksdb::Iterator> ordered(opened[1]);
  const std::string first = after.str() + '\0';
  stored->Seek(first);
  ordered->Seek(first);
  std::vector<std::pair<TenantId, domain::Contract>> listed;
  while (listed.size() < page_size(limit)) {
    const auto name = smaller(*stored, *ordered);
    if (!name) break;
    domain::Contract in_force = default_contract_;
    if (stored->Valid() && stored->key() == *name) {
      auto contract = decode<domain::Contract>(*name, stored->value().ToStringView());
      if (!contract) return std::unexpected(StoreError::corrupt);
      in_force = std::move(*contract);
      stored->Next();
    }
    if (ordered->Valid() && ordered->key() == *name) ordered->Next();
    listed.emplace_back(TenantId::unchecked(*name), std::move(in_force));
  }
  if (!stored->status().ok()) return std::unexpected(error_of(stored->status()));
  if (!ordered->status().ok()) return std::unexpected(error_of(ordered->status()));
  return listed;
}

}  // namespace penstock::rocksdb_store
