#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "adapters/rocksdb/state_codec.h"
#include "adapters/rocksdb/tenant_table.h"
#include "domain/order.h"
#include "domain/reason.h"
#include "domain/saga.h"
#include "domain/stock.h"

namespace penstock::rocksdb_store {

/// The stock of all tenants in memory. One thread writes; `published` may be asked by any thread
/// and sees what the last `publish` showed. Bounded by the products that operators set.
class StockTable {
 public:
  /// A row whose durable totals changed in this batch.
  struct Change {
    const std::string* key = nullptr;  ///< tenant 0 product
    StockTotals totals;
  };

  /// At a start: the stored totals of a key.
  void load(const std::string& key, StockTotals totals);

  /// At a start: counts what an active order that holds stock has reserved; false if that is more
  /// than was received, which a sound store never says.
  bool rebuild_reservation(const domain::Order& order);

  /// Moves all items of `order`, or none: a reserve that finds a product never set says
  /// unknown_product, else one that finds an item short insufficient_stock. Lines of one product
  /// add up.
  std::optional<domain::Reason> move(const domain::Order& order, domain::StockMove move);

  /// Sets what is on hand, or adds to it. A product exists once one of these succeeded.
  std::expected<domain::Stock, domain::StockError> set_on_hand(const std::string& key,
                                                               std::int64_t pieces);
  std::expected<domain::Stock, domain::StockError> restock(const std::string& key,
                                                           std::int64_t pieces);

  /// The totals to store with this batch, each key once; the list starts again.
  std::vector<Change> take_changes();

  /// Shows readers what the batch left, once it is synced.
  void publish();

  /// What readers see. Any thread.
  std::optional<domain::Stock> published(const std::string& key) const;

 private:
  struct Row {
    const std::string* key = nullptr;
    domain::Stock working;
    std::optional<domain::Stock> shown;
    bool is_set = false;
    bool is_touched = false;  ///< differs from `shown`
    bool is_changed = false;  ///< the durable totals differ from the stored ones
  };

  Row* find(const domain::TenantId& tenant, const domain::ProductId& product);
  Row& ensure(const std::string& key);
  void touch(Row& row);
  void change(Row& row);

  std::unordered_map<std::string, Row, TextHash, std::equal_to<>> rows_;
  std::string key_;          ///< room for the key that is looked up
  std::vector<Row*> found_;  ///< the rows of the order in hand, by item
  std::vector<Row*> touched_;
  std::vector<Row*> changed_;
  mutable std::shared_mutex mutex_;  ///< over `shown` and the map's shape
};

}  // namespace penstock::rocksdb_store
