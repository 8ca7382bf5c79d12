#include "adapters/rocksdb/stock_table.h"

#include <mutex>
#include <utility>

#include "domain/check.h"

namespace penstock::rocksdb_store {

using domain::Reason;
using domain::Stock;
using domain::StockError;
using domain::StockMove;

StockTable::Row& StockTable::ensure(const std::string& key) {
  if (const auto found = rows_.find(key); found != rows_.end()) return found->second;
  const std::unique_lock lock(mutex_);
  const auto added = rows_.try_emplace(key).first;
  added->second.key = &added->first;
  return added->second;
}

StockTable::Row* StockTable::find(const domain::TenantId& tenant,
                                  const domain::ProductId& product) {
  key_.assign(tenant.str());
  key_ += '\0';
  key_ += product.str();
  const auto found = rows_.find(std::string_view(key_));
  return found == rows_.end() || !found->second.is_set ? nullptr : &found->second;
}

void StockTable::touch(Row& row) {
  if (std::exchange(row.is_touched, true)) return;
  touched_.push_back(&row);
}

void StockTable::change(Row& row) {
  touch(row);
  if (std::exchange(row.is_changed, true)) return;
  changed_.push_back(&row);
}

void StockTable::load(const std::string& key, StockTotals totals) {
  Row& row = ensure(key);
  row.is_set = true;
  row.working = {.received = totals.received, .reserved = 0, .sold = totals.sold};
  touch(row);
}

bool StockTable::rebuild_reservation(const domain::Order& order) {
  for (const domain::Item& item : order.items) {
    Row* row = find(order.tenant, item.product);
    if (row == nullptr || item.quantity < 0 || !row->working.reserve(item.quantity)) return false;
    touch(*row);
  }
  return true;
}

std::optional<Reason> StockTable::move(const domain::Order& order, StockMove move) {
  if (move == StockMove::none) return std::nullopt;
  found_.clear();
  for (const domain::Item& item : order.items) {
    found_.push_back(find(order.tenant, item.product));
    if (found_.back() != nullptr) continue;
    PENSTOCK_CHECK(move == StockMove::reserve, "stock that is held has a row");
    return Reason::unknown_product;
  }
  for (std::size_t i = 0; i < found_.size(); ++i) {
    Row& row = *found_[i];
    const std::int64_t pieces = order.items[i].quantity;
    if (move == StockMove::release) {
      row.working.release(pieces);
      touch(row);
    } else if (move == StockMove::sell) {
      row.working.sell(pieces);
      change(row);
    } else if (row.working.reserve(pieces)) {
      touch(row);
    } else {
      while (i-- > 0) found_[i]->working.release(order.items[i].quantity);
      return Reason::insufficient_stock;
    }
  }
  return std::nullopt;
}

std::expected<Stock, StockError> StockTable::set_on_hand(const std::string& key,
                                                         std::int64_t pieces) {
  Row& row = ensure(key);
  if (const auto done = row.working.set_on_hand(pieces); !done) {
    return std::unexpected(done.error());
  }
  row.is_set = true;
  change(row);
  return row.working;
}

std::expected<Stock, StockError> StockTable::restock(const std::string& key, std::int64_t pieces) {
  Row& row = ensure(key);
  if (const auto done = row.working.restock(pieces); !done) return std::unexpected(done.error());
  row.is_set = true;
  change(row);
  return row.working;
}

std::vector<StockTable::Change> StockTable::take_changes() {
  std::vector<Change> changes;
  changes.reserve(changed_.size());
  for (Row* row : changed_) {
    row->is_changed = false;
    changes.push_back({.key = row->key,
                       .totals = {.received = row->working.received, .sold = row->working.sold}});
  }
  changed_.clear();
  return changes;
}

void StockTable::publish() {
  if (touched_.empty()) return;
  const std::unique_lock lock(mutex_);
  for (Row* row : touched_) {
    row->is_touched = false;
    row->shown = row->working;
  }
  touched_.clear();
}

std::optional<Stock> StockTable::published(const std::string& key) const {
  const std::shared_lock lock(mutex_);
  const auto found = rows_.find(std::string_view(key));
  if (found == rows_.end()) return std::nullopt;
  return found->second.shown;
}

}  // namespace penstock::rocksdb_store
