#include "adapters/memory/stock_room.h"

#include <algorithm>

#include "domain/check.h"

namespace penstock::memory_store {
namespace {

bool apply_to(domain::Stock& stock, domain::StockMove move, std::int64_t pieces) {
  switch (move) {
    case domain::StockMove::none:
      return true;
    case domain::StockMove::reserve:
      return stock.reserve(pieces).has_value();
    case domain::StockMove::release:
      stock.release(pieces);
      return true;
    case domain::StockMove::sell:
      stock.sell(pieces);
      return true;
  }
  return true;
}

}  // namespace

StockRoom::StockRoom(MemoryDisk& disk) : disk_(disk) {
  for (auto& [key, totals] : disk.stock) {
    shelves_[key] = {.stock = {.received = totals.received, .reserved = 0, .sold = totals.sold},
                     .totals = &totals};
  }
}

void StockRoom::rebuild_reservation(const domain::Order& order) {
  if (!order.holds_stock) return;
  for (const domain::Item& item : order.items) {
    const auto found = shelves_.find({order.tenant, item.product});
    PENSTOCK_CHECK(found != shelves_.end() && found->second.stock.reserve(item.quantity),
                   "active orders hold more stock than was received");
  }
}

std::optional<domain::Reason> StockRoom::move(const domain::Order& order, domain::StockMove move) {
  if (move == domain::StockMove::none) return std::nullopt;
  changes_.clear();
  StockKey key{order.tenant, {}};
  auto short_of = std::optional<domain::Reason>{};
  for (const domain::Item& item : order.items) {
    key.second = item.product;
    const auto found = shelves_.find(key);
    if (found == shelves_.end()) return domain::Reason::unknown_product;
    auto change = std::ranges::find(changes_, &found->second, &Change::shelf);
    if (change == changes_.end()) {
      change = changes_.insert(change, {&found->second, found->second.stock});
    }
    if (!apply_to(change->stock, move, item.quantity)) {
      short_of = domain::Reason::insufficient_stock;
    }
  }
  if (short_of) return short_of;
  for (const Change& change : changes_) write(*change.shelf, change.stock);
  return std::nullopt;
}

std::expected<domain::Stock, domain::StockError> StockRoom::set_on_hand(const StockKey& key,
                                                                        std::int64_t pieces) {
  domain::Stock stock = find(key).value_or(domain::Stock{});
  if (const auto done = stock.set_on_hand(pieces); !done) return std::unexpected(done.error());
  write(shelf_of(key), stock);
  return stock;
}

std::expected<domain::Stock, domain::StockError> StockRoom::restock(const StockKey& key,
                                                                    std::int64_t pieces) {
  domain::Stock stock = find(key).value_or(domain::Stock{});
  if (const auto done = stock.restock(pieces); !done) return std::unexpected(done.error());
  write(shelf_of(key), stock);
  return stock;
}

std::optional<domain::Stock> StockRoom::find(const StockKey& key) const {
  const auto found = shelves_.find(key);
  if (found == shelves_.end()) return std::nullopt;
  return found->second.stock;
}

StockRoom::Shelf& StockRoom::shelf_of(const StockKey& key) {
  const auto [entry, added] = shelves_.try_emplace(key);
  if (added) entry->second.totals = &disk_.stock[key];
  return entry->second;
}

void StockRoom::write(Shelf& shelf, const domain::Stock& stock) {
  shelf.stock = stock;
  *shelf.totals = {.received = stock.received, .sold = stock.sold};
}

}  // namespace penstock::memory_store
