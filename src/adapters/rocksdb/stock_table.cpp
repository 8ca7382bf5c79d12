#include "adapters/rocksdb/stock_table.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <utility>

#include "domain/check.h"

namespace penstock::rocksdb_store {

using domain::Reason;
using domain::Stock;
using domain::StockError;
using domain::StockMove;

namespace {

constexpr std::size_t kFirstSlots = 1024;

}  // namespace

std::uint32_t StockTable::hash_of(std::string_view key) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>{}(key) >> 32);
}

std::size_t StockTable::slot_of(std::string_view key, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].number != kFree &&
         (slots_[at].hash != hash || rows_[slots_[at].number].key != key)) {
    at = (at + 1) & mask;
  }
  return at;
}

void StockTable::grow() {
  std::vector<Slot> larger(std::max(kFirstSlots, 2 * slots_.size()));
  const std::size_t mask = larger.size() - 1;
  for (const Slot& slot : slots_) {
    if (slot.number == kFree) continue;
    std::size_t at = slot.hash & mask;
    while (larger[at].number != kFree) at = (at + 1) & mask;
    larger[at] = slot;
  }
  slots_ = std::move(larger);
}

std::uint32_t StockTable::ensure(std::string_view key) {
  const std::uint32_t hash = hash_of(key);
  if (!slots_.empty()) {
    const Slot& found = slots_[slot_of(key, hash)];
    if (found.number != kFree) return found.number;
  }
  const std::unique_lock lock(mutex_);
  if (slots_.size() <= 2 * rows_.size()) grow();
  const auto number = static_cast<std::uint32_t>(rows_.size());
  slots_[slot_of(key, hash)] = {.hash = hash, .number = number};
  rows_.emplace_back().key = key;
  return number;
}

std::uint32_t StockTable::find(const domain::TenantId& tenant, const domain::ProductId& product) {
  if (slots_.empty()) return kFree;
  key_.assign(tenant.str());
  key_ += '\0';
  key_ += product.str();
  const std::uint32_t number = slots_[slot_of(key_, hash_of(key_))].number;
  return number == kFree || !rows_[number].is_set ? kFree : number;
}

void StockTable::touch(std::uint32_t row) {
  if (std::exchange(rows_[row].is_touched, true)) return;
  touched_.push_back(row);
}

void StockTable::change(std::uint32_t row) {
  touch(row);
  if (std::exchange(rows_[row].is_changed, true)) return;
  changed_.push_back(row);
}

void StockTable::load(std::string_view key, StockTotals totals) {
  const std::uint32_t number = ensure(key);
  Row& row = rows_[number];
  row.is_set = true;
  row.is_stored = true;
  row.working = {.received = totals.received, .reserved = 0, .sold = totals.sold};
  touch(number);
}

bool StockTable::rebuild_reservation(const domain::Order& order) {
  for (const domain::Item& item : order.items) {
    const std::uint32_t row = find(order.tenant, item.product);
    if (row == kFree || item.quantity < 0) return false;
    if (!rows_[row].working.reserve(item.quantity)) return false;
    touch(row);
  }
  return true;
}

std::optional<Reason> StockTable::move(const domain::Order& order, StockMove move) {
  if (move == StockMove::none) return std::nullopt;
  found_.clear();
  for (const domain::Item& item : order.items) {
    found_.push_back(find(order.tenant, item.product));
    if (found_.back() != kFree) continue;
    PENSTOCK_CHECK(move == StockMove::reserve, "stock that is held has a row");
    return Reason::unknown_product;
  }
  for (std::size_t i = 0; i < found_.size(); ++i) {
    Stock& working = rows_[found_[i]].working;
    const std::int64_t pieces = order.items[i].quantity;
    if (move == StockMove::release) {
      working.release(pieces);
      touch(found_[i]);
    } else if (move == StockMove::sell) {
      working.sell(pieces);
      change(found_[i]);
    } else if (working.reserve(pieces)) {
      touch(found_[i]);
    } else {
      while (i-- > 0) rows_[found_[i]].working.release(order.items[i].quantity);
      return Reason::insufficient_stock;
    }
  }
  return std::nullopt;
}

std::expected<Stock, StockError> StockTable::set_on_hand(const std::string& key,
                                                         std::int64_t pieces) {
  const std::uint32_t number = ensure(key);
  Row& row = rows_[number];
  if (const auto done = row.working.set_on_hand(pieces); !done) {
    return std::unexpected(done.error());
  }
  row.is_set = true;
  change(number);
  return row.working;
}

std::expected<Stock, StockError> StockTable::restock(const std::string& key, std::int64_t pieces) {
  const std::uint32_t number = ensure(key);
  Row& row = rows_[number];
  if (const auto done = row.working.restock(pieces); !done) return std::unexpected(done.error());
  row.is_set = true;
  change(number);
  return row.working;
}

StockTable::Change StockTable::stored_form(std::uint32_t row) const {
  const Row& stored = rows_[row];
  return {.row = row,
          .key = stored.key,
          .totals = {.received = stored.working.received, .sold = stored.working.sold},
          .is_first = !stored.is_stored};
}

std::span<const StockTable::Change> StockTable::take_changes() {
  changes_.clear();
  for (const std::uint32_t row : changed_) {
    changes_.push_back(stored_form(row));
    rows_[row].is_changed = false;
    rows_[row].is_stored = true;
  }
  changed_.clear();
  return changes_;
}

void StockTable::publish() {
  if (touched_.empty()) return;
  const std::unique_lock lock(mutex_);
  for (const std::uint32_t number : touched_) {
    Row& row = rows_[number];
    row.is_touched = false;
    row.is_shown = true;
    row.shown = row.working;
  }
  touched_.clear();
}

std::optional<Stock> StockTable::published(const std::string& key) const {
  const std::shared_lock lock(mutex_);
  if (slots_.empty()) return std::nullopt;
  const Slot& found = slots_[slot_of(key, hash_of(key))];
  if (found.number == kFree || !rows_[found.number].is_shown) return std::nullopt;
  return rows_[found.number].shown;
}

}  // namespace penstock::rocksdb_store
