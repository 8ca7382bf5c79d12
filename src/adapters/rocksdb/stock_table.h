#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/rocksdb/state_codec.h"
#include "domain/order.h"
#include "domain/reason.h"
#include "domain/saga.h"
#include "domain/stock.h"

namespace penstock::rocksdb_store {

/// The stock of all tenants in memory. One thread writes; `published` may be asked by any thread
/// and sees what the last `publish` showed. Bounded by the products that operators set.
class StockTable {
 public:
  /// A row that is to be stored.
  struct Change {
    std::uint32_t row = 0;  ///< the row's number, which lasts as long as the table
    std::string_view key;   ///< tenant 0 product; valid until a product is added
    StockTotals totals;
    bool is_first = false;  ///< the row has no record yet
  };

  /// At a start: the stored totals of a key.
  void load(std::string_view key, StockTotals totals);

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

  /// The rows whose durable totals changed in this batch, each once; the list starts again. Valid
  /// until the next call.
  std::span<const Change> take_changes();
  /// What the record of a row is to say.
  Change stored_form(std::uint32_t row) const;

  /// Shows readers what the batch left, once it is synced.
  void publish();

  /// What readers see. Any thread.
  std::optional<domain::Stock> published(const std::string& key) const;

 private:
  struct Row {
    domain::Stock working;
    domain::Stock shown;
    bool is_shown = false;
    bool is_set = false;
    bool is_stored = false;
    bool is_touched = false;  ///< differs from `shown`
    bool is_changed = false;  ///< the durable totals differ from the stored ones
    std::string key;
  };
  /// Of an open-addressed table with linear probing. Its hashes keep what a lookup touches to the
  /// slot, the row and its key: with many products each is a miss of the processor's cache.
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t number = kFree;  ///< of a row
  };
  static constexpr std::uint32_t kFree = UINT32_MAX;

  static std::uint32_t hash_of(std::string_view key);
  /// The slot of the key, or the free one where it belongs.
  std::size_t slot_of(std::string_view key, std::uint32_t hash) const;
  /// The number of a product that was set, or kFree.
  std::uint32_t find(const domain::TenantId& tenant, const domain::ProductId& product);
  std::uint32_t ensure(std::string_view key);
  void grow();
  void touch(std::uint32_t row);
  void change(std::uint32_t row);

  std::vector<Row> rows_;
  std::vector<Slot> slots_;           ///< a power of two, at most half of them taken
  std::string key_;                   ///< room for the key that is looked up
  std::vector<std::uint32_t> found_;  ///< the rows of the order in hand, by item
  std::vector<std::uint32_t> touched_;
  std::vector<std::uint32_t> changed_;
  std::vector<Change> changes_;
  mutable std::shared_mutex mutex_;  ///< over `shown` and the tables' shape
};

}  // namespace penstock::rocksdb_store
