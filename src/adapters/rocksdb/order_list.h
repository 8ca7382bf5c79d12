#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/published_ids.h"
#include "domain/ids.h"
#include "ports/order_reader.h"

namespace penstock::rocksdb_store {

/// Records that one call of the reader looks at before it returns a short page.
inline constexpr std::size_t kMaxScanned = 5'000;
/// Of the lists of dead letters and owed refunds, whose orders are looked up one by one.
inline constexpr std::size_t kMaxListedScanned = 2'000;
/// Blocks of ids that it looks through, likewise.
inline constexpr std::size_t kMaxIdBlocks = 64;

/// One page of a tenant's or of all orders, newest first: the active orders and the months' ended
/// ones merged by id. What it costs does not depend on how many orders have ended: the ids of the
/// active ones are in memory, and an iterator over their family would walk a tombstone for each one
/// that has ended. They come in blocks, each with a snapshot that is newer than the block: what is
/// in it and not in the snapshot has ended, and is in its month there, so that an order is seen
/// once. Lives for one call.
class OrderList {
 public:
  OrderList(const Database& database, const PublishedIds& active, const ports::OrderQuery& query);
  ~OrderList();
  OrderList(const OrderList&) = delete;
  OrderList& operator=(const OrderList&) = delete;

  std::expected<ports::OrderPage, ports::StoreError> page();

 private:
  template <typename Result>
  using Maybe = std::expected<Result, ports::StoreError>;

  /// The next block of active ids and a snapshot for it; all from `end_` down.
  void open_block();
  /// The order at the cursor, if the query wants it.
  Maybe<std::optional<domain::Order>> active_order(const domain::OrderId& id) const;
  Maybe<std::optional<domain::Order>> ended_order() const;
  bool is_wanted(const domain::Order& order) const;

  std::optional<domain::OrderId> active_id() const;
  /// Whether the block says what is active at `id`.
  bool is_covered(const domain::OrderId& id) const {
    return block_.is_last || id >= block_.reached;
  }
  /// The newest ended order that was not looked at, in whichever month.
  Maybe<std::optional<domain::OrderId>> ended_id();
  void open_next_month();
  std::string ended_key(const domain::OrderId& id) const;
  bool is_before_range(const domain::OrderId& id) const;

  const Database& database_;
  const ports::OrderQuery& query_;
  const PublishedIds& published_;
  const rocksdb::Snapshot* snapshot_ = nullptr;
  domain::OrderId end_;  ///< only older ids
  std::string month_prefix_;
  std::vector<std::pair<domain::Month, MonthHandle>> months_;  ///< newest first
  std::size_t next_month_ = 0;
  rocksdb::ColumnFamilyHandle* month_ = nullptr;
  PublishedIds::Block block_;
  std::size_t next_active_ = 0;  ///< in the block
  std::unique_ptr<rocksdb::Iterator> ended_;
};

}  // namespace penstock::rocksdb_store
