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
#include "domain/ids.h"
#include "ports/order_reader.h"

namespace penstock::rocksdb_store {

/// Records that one call of the reader looks at before it returns a short page.
inline constexpr std::size_t kMaxScanned = 20'000;

/// One page of a tenant's or of all orders, newest first: the active orders and the months' ended
/// ones merged by id, under one snapshot, so that an order that ends meanwhile is seen once. Lives
/// for one call.
class OrderList {
 public:
  OrderList(const Database& database, const ports::OrderQuery& query);
  ~OrderList();
  OrderList(const OrderList&) = delete;
  OrderList& operator=(const OrderList&) = delete;

  std::expected<ports::OrderPage, ports::StoreError> page();

 private:
  template <typename Result>
  using Maybe = std::expected<Result, ports::StoreError>;

  /// The order at the cursor, if the query wants it.
  Maybe<std::optional<domain::Order>> active_order() const;
  Maybe<std::optional<domain::Order>> ended_order() const;
  bool is_wanted(const domain::Order& order) const;

  std::optional<domain::OrderId> active_id() const;
  /// The newest ended order that was not looked at, in whichever month.
  Maybe<std::optional<domain::OrderId>> ended_id();
  void open_next_month();
  std::string ended_key(const domain::OrderId& id) const;
  bool is_before_range(const domain::OrderId& id) const;

  const Database& database_;
  const ports::OrderQuery& query_;
  const rocksdb::Snapshot* snapshot_;
  domain::OrderId end_;  ///< only older ids
  std::string month_prefix_;
  std::vector<std::pair<domain::Month, MonthHandle>> months_;  ///< newest first
  std::size_t next_month_ = 0;
  rocksdb::ColumnFamilyHandle* month_ = nullptr;
  std::unique_ptr<rocksdb::Iterator> active_;
  std::unique_ptr<rocksdb::Iterator> ended_;
};

}  // namespace penstock::rocksdb_store
