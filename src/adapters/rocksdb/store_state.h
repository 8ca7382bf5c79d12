#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "adapters/rocksdb/changes_log.h"
#include "adapters/rocksdb/contract_table.h"
#include "adapters/rocksdb/database.h"
#include "adapters/rocksdb/outbox.h"
#include "adapters/rocksdb/published_ids.h"
#include "adapters/rocksdb/record_ring.h"
#include "adapters/rocksdb/rocks_store_options.h"
#include "adapters/rocksdb/state_codec.h"
#include "adapters/rocksdb/stock_table.h"
#include "adapters/rocksdb/tenant_table.h"
#include "adapters/rocksdb/work_index.h"
#include "adapters/rocksdb/write_set.h"
#include "domain/clock_evidence.h"
#include "domain/order.h"
#include "ports/order_store.h"

namespace penstock::rocksdb_store {

/// Which keys the present batch claimed, as a filter: "no" is certain, "perhaps" is looked up in
/// the batch itself.
class ClaimedKeys {
 public:
  ClaimedKeys() : stamps_(kSlots, 0) {}
  void clear() { ++batch_; }
  void add(std::string_view key) { stamps_[slot_of(key)] = batch_; }
  bool perhaps_has(std::string_view key) const { return stamps_[slot_of(key)] == batch_; }

 private:
  static constexpr std::size_t kSlots = 32'768;
  static std::size_t slot_of(std::string_view key) { return TextHash{}(key) % kSlots; }

  std::vector<std::uint64_t> stamps_;
  std::uint64_t batch_ = 1;
};

/// Everything that the writer's thread works on.
struct StoreState {
  explicit StoreState(RocksStoreOptions opened_with, std::unique_ptr<Database> opened)
      : options(std::move(opened_with)),
        database(std::move(opened)),
        work(options.max_active),
        ring(options.fresh_records) {}

  RocksStoreOptions options;
  std::unique_ptr<Database> database;
  TenantTable tenants;
  ContractTable contracts;
  StockTable stock;
  ChangesLog changes;
  WorkIndex work;
  PublishedLists lists;
  RecordRing ring;
  Outbox outbox;
  ClaimedKeys claimed;
  WriteSet writes;
  ClockRecord clock;
  domain::ClockEvidence evidence{options.now};
  bool is_disagreement_stored = false;
  RunRecord run;
  ports::Recovery recovery;

  const domain::Contract& contract_of(const TenantRow* row) const {
    return row != nullptr && row->stored ? *row->stored : options.default_contract;
  }
};

/// The stored order of an entry of the index, from the ring or the database. A record that cannot
/// be read stops the store.
std::expected<domain::Order, ports::StoreError> load_active(StoreState& state,
                                                            const ActiveOrder& active);

/// The order as it is stored with the batch in hand, active or terminal; nothing if there is none.
std::expected<std::optional<domain::Order>, ports::StoreError> load_stored(
    StoreState& state, const domain::OrderId& order);

}  // namespace penstock::rocksdb_store
