#include "adapters/rocksdb/order_list.h"

#include <algorithm>

#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/record_codec.h"
#include "adapters/rocksdb/state_codec.h"
#include "domain/limits.h"
#include "ports/page_budget.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Duration;
using domain::Order;
using domain::OrderId;
using ports::StoreError;

/// Active orders of one block: as many as a page may have, and one that says there are more.
constexpr std::size_t kActiveBlock = domain::limits::kMaxPage + 1;

/// Ids from here on are too new for the query.
OrderId end_of(const ports::OrderQuery& query) {
  OrderId end{OrderId::Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
  if (query.created_to) end = first_id_of(*query.created_to + Duration::milliseconds(1));
  return query.before ? std::min(end, *query.before) : end;
}

}  // namespace

OrderList::OrderList(const Database& database, const PublishedIds& active,
                     const ports::OrderQuery& query)
    : database_(database),
      query_(query),
      published_(active),
      end_(end_of(query)),
      month_prefix_(query.tenant.empty() ? std::string(1, kOrderTag)
                                         : tenant_index_prefix(query.tenant.str())) {
  open_block();
}

OrderList::~OrderList() {
  ended_.reset();
  if (snapshot_ != nullptr) database_.db().ReleaseSnapshot(snapshot_);
}

void OrderList::open_block() {
  ended_.reset();
  if (snapshot_ != nullptr) database_.db().ReleaseSnapshot(snapshot_);
  const std::uint32_t tenant = query_.tenant.empty()
                                   ? PublishedIds::kAnyTenant
                                   : PublishedIds::tenant_hash(query_.tenant.str());
  block_ = published_.before(end_, tenant, kActiveBlock);
  next_active_ = 0;
  snapshot_ = database_.db().GetSnapshot();
  months_ = database_.months();
  next_month_ = 0;
  open_next_month();
}

void OrderList::open_next_month() {
  ended_.reset();
  // Months that begin at or after the end hold only newer ids.
  while (next_month_ < months_.size() && months_[next_month_].first > end_.month()) ++next_month_;
  if (next_month_ == months_.size()) return;
  month_ = months_[next_month_++].second.get();
  rocksdb::ReadOptions read = scan_options();
  read.snapshot = snapshot_;
  ended_.reset(database_.db().NewIterator(read, month_));
  const std::string end = ended_key(end_);
  ended_->SeekForPrev(end);
  if (ended_->Valid() && ended_->key() == rocksdb::Slice(end)) ended_->Prev();
}

std::string OrderList::ended_key(const OrderId& id) const {
  return month_prefix_ + std::string(id.view());
}

std::optional<OrderId> OrderList::active_id() const {
  if (next_active_ == block_.ids.size()) return std::nullopt;
  return block_.ids[next_active_];
}

OrderList::Maybe<std::optional<OrderId>> OrderList::ended_id() {
  while (ended_) {
    if (!ended_->status().ok()) return std::unexpected(error_of(ended_->status()));
    if (ended_->Valid()) {
      const std::string_view key = ended_->key().ToStringView();
      if (key.starts_with(month_prefix_) && key.size() == month_prefix_.size() + kIdBytes) {
        return trailing_id(key);
      }
    }
    open_next_month();
  }
  return std::nullopt;
}

bool OrderList::is_before_range(const OrderId& id) const {
  return query_.created_from && id.created() + Duration::milliseconds(1) <= *query_.created_from;
}

bool OrderList::is_wanted(const Order& order) const {
  return (query_.tenant.empty() || order.tenant == query_.tenant) &&
         (!query_.status || order.status == *query_.status) &&
         (!query_.created_from || order.created_at >= *query_.created_from) &&
         (!query_.created_to || order.created_at < *query_.created_to);
}

OrderList::Maybe<std::optional<Order>> OrderList::active_order(const OrderId& id) const {
  rocksdb::ReadOptions read;
  read.snapshot = snapshot_;
  rocksdb::PinnableSlice stored;
  const std::string_view key = id.view();
  const rocksdb::Status got =
      database_.db().Get(read, database_.handle(Family::active), key, &stored);
  // It has ended since the block was read.
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return std::unexpected(error_of(got));
  const std::string_view value = stored.ToStringView();
  if (!query_.tenant.empty()) {
    const auto tenant = tenant_of_order(key, value);
    if (!tenant) return std::unexpected(StoreError::corrupt);
    if (*tenant != query_.tenant.str()) return std::nullopt;
  }
  auto record = decode_order(id, key, value);
  if (!record) return std::unexpected(StoreError::corrupt);
  if (!is_wanted(record->order)) return std::nullopt;
  return std::move(record->order);
}

OrderList::Maybe<std::optional<Order>> OrderList::ended_order() const {
  const std::string_view found_key = ended_->key().ToStringView();
  const OrderId id = *trailing_id(found_key);
  std::string key(found_key);
  rocksdb::PinnableSlice read_value;
  std::string_view value = ended_->value().ToStringView();
  if (!query_.tenant.empty()) {
    const auto status = decode<domain::Status>(found_key, value);
    if (!status) return std::unexpected(StoreError::corrupt);
    if (query_.status && *status != *query_.status) return std::nullopt;
    key = tagged_id_key(kOrderTag, id);
    rocksdb::ReadOptions read;
    read.snapshot = snapshot_;
    const rocksdb::Status got = database_.db().Get(read, month_, key, &read_value);
    // The index and the record are written together.
    if (got.IsNotFound()) return std::unexpected(StoreError::corrupt);
    if (!got.ok()) return std::unexpected(error_of(got));
    value = read_value.ToStringView();
  }
  auto record = decode_order(id, key, value);
  if (!record) return std::unexpected(StoreError::corrupt);
  if (!is_wanted(record->order)) return std::nullopt;
  return std::move(record->order);
}

std::expected<ports::OrderPage, StoreError> OrderList::page() {
  ports::OrderPage page;
  const std::size_t limit = std::clamp<std::size_t>(query_.limit, 1, domain::limits::kMaxPage);
  ports::PageBudget budget(query_.max_bytes);
  std::size_t blocks = 1;
  for (std::size_t scanned = 0;;) {
    const auto active = active_id();
    const auto newest_ended = ended_id();
    if (!newest_ended) return std::unexpected(newest_ended.error());
    const auto ended =
        *newest_ended && is_covered(**newest_ended) ? *newest_ended : std::optional<OrderId>();
    if (!active && !ended) {
      if (block_.is_last || is_before_range(block_.reached)) return page;
      end_ = block_.reached;
      if (++blocks > kMaxIdBlocks) break;
      open_block();
      continue;
    }
    const bool is_active = active && (!ended || *active > *ended);
    const OrderId id = is_active ? *active : *ended;
    if (is_before_range(id)) return page;
    if (scanned++ == kMaxScanned) break;
    auto order = is_active ? active_order(id) : ended_order();
    if (!order) return std::unexpected(order.error());
    if (*order) {
      if (page.orders.size() == limit || !budget.take(**order)) break;
      page.orders.push_back(std::move(**order));
    }
    end_ = id;
    if (is_active) {
      ++next_active_;
    } else {
      ended_->Prev();
    }
  }
  page.next = end_;
  return page;
}

}  // namespace penstock::rocksdb_store
