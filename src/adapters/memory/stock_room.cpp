#include "adapters/memory/stock_room.h"

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
  for (const auto& [key, totals] : disk.stock) {
    stock_[key] = {.received = totals.received, .reserved = 0, .sold = totals.sold};
  }
}

void StockRoom::rebuild_reservation(const domain::Order& order) {
  if (!order.holds_stock) return;
  for (const domain::Item& item : order.items) {
    const auto found = stock_.find({order.tenant, item.product});
    PENSTOCK_CHECK(found != stock_.end() && found->second.reserve(item.quantity),
                   "active orders hold more stock than was received");
  }
}

std::optional<domain::Reason> StockRoom::move(const domain::Order& order, domain::StockMove move) {
  if (move == domain::StockMove::none) return std::nullopt;
  std::map<StockKey, domain::Stock> changed;
  for (const domain::Item& item : order.items) {
    const auto found = stock_.find({order.tenant, item.product});
    if (found == stock_.end()) return domain::Reason::unknown_product;
    changed.insert(*found);
  }
  for (const domain::Item& item : order.items) {
    domain::Stock& stock = changed.find({order.tenant, item.product})->second;
    if (!apply_to(stock, move, item.quantity)) return domain::Reason::insufficient_stock;
  }
  for (const auto& [key, stock] : changed) write(key, stock);
  return std::nullopt;
}

std::expected<domain::Stock, domain::StockError> StockRoom::set_on_hand(const StockKey& key,
                                                                        std::int64_t pieces) {
  domain::Stock stock = find(key).value_or(domain::Stock{});
  if (const auto done = stock.set_on_hand(pieces); !done) return std::unexpected(done.error());
  write(key, stock);
  return stock;
}

std::expected<domain::Stock, domain::StockError> StockRoom::restock(const StockKey& key,
                                                                    std::int64_t pieces) {
  domain::Stock stock = find(key).value_or(domain::Stock{});
  if (const auto done = stock.restock(pieces); !done) return std::unexpected(done.error());
  write(key, stock);
  return stock;
}

std::optional<domain::Stock> StockRoom::find(const StockKey& key) const {
  const auto found = stock_.find(key);
  if (found == stock_.end()) return std::nullopt;
  return found->second;
}

void StockRoom::write(const StockKey& key, const domain::Stock& stock) {
  stock_[key] = stock;
  disk_.stock[key] = {.received = stock.received, .sold = stock.sold};
}

}  // namespace penstock::memory_store
