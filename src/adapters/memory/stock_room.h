#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <unordered_map>
#include <vector>

#include "adapters/memory/memory_disk.h"
#include "domain/ids.h"
#include "domain/order.h"
#include "domain/reason.h"
#include "domain/saga.h"
#include "domain/stock.h"

namespace penstock::memory_store {

/// The stock of all tenants over its durable totals. Not thread-safe. Bounded by the products that
/// operators set.
class StockRoom {
 public:
  /// Starts from the stored totals with nothing reserved. Keeps a reference to `disk`.
  explicit StockRoom(MemoryDisk& disk);

  /// At a start: counts what an active order that holds stock has reserved. More than was received
  /// is a bug and stops the process.
  void rebuild_reservation(const domain::Order& order);

  /// Moves all items of `order`, or none: a reserve that finds a product never set says
  /// unknown_product, else one that finds an item short insufficient_stock. Lines of the same
  /// product add up.
  std::optional<domain::Reason> move(const domain::Order& order, domain::StockMove move);

  /// Sets what is on hand. A product exists once one of these succeeded.
  std::expected<domain::Stock, domain::StockError> set_on_hand(const StockKey& key,
                                                               std::int64_t pieces);
  std::expected<domain::Stock, domain::StockError> restock(const StockKey& key,
                                                           std::int64_t pieces);

  std::optional<domain::Stock> find(const StockKey& key) const;

 private:
  struct Shelf {
    domain::Stock stock;
    StockTotals* totals = nullptr;  ///< on the disk
  };
  /// A shelf as a move would leave it.
  struct Change {
    Shelf* shelf = nullptr;
    domain::Stock stock;
  };

  Shelf& shelf_of(const StockKey& key);
  static void write(Shelf& shelf, const domain::Stock& stock);

  MemoryDisk& disk_;
  std::unordered_map<StockKey, Shelf, NamesHash> shelves_;
  std::vector<Change> changes_;  ///< of the present move
};

}  // namespace penstock::memory_store
