#include <string>

#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/record_codec.h"
#include "adapters/rocksdb/store_state.h"

namespace penstock::rocksdb_store {
namespace {

using domain::Order;
using domain::OrderId;
using ports::StoreError;

std::expected<Order, StoreError> decoded(StoreState& state, const OrderId& id, std::string_view key,
                                         std::string_view value) {
  auto record = decode_order(id, key, value);
  if (!record) return std::unexpected(state.database->stop(StoreError::corrupt));
  return std::move(record->order);
}

}  // namespace

std::expected<Order, StoreError> load_active(StoreState& state, const ActiveOrder& active) {
  const std::string_view key = active.id.view();
  const std::string_view fresh = state.ring.find(active.kept_at, active.id, active.version);
  if (!fresh.empty()) return decoded(state, active.id, key, fresh);
  rocksdb::PinnableSlice value;
  const auto found = state.database->read(state.database->handle(Family::active), key, value);
  if (!found) return std::unexpected(state.database->stop(found.error()));
  if (!*found) return std::unexpected(state.database->stop(StoreError::corrupt));
  return decoded(state, active.id, key, value.ToStringView());
}

std::expected<std::optional<Order>, StoreError> load_stored(StoreState& state,
                                                            const OrderId& order) {
  if (const ActiveOrder* active = state.work.find(order)) {
    auto loaded = load_active(state, *active);
    if (!loaded) return std::unexpected(loaded.error());
    return std::move(*loaded);
  }
  const MonthHandle month = state.database->month(order.month());
  if (!month) return std::nullopt;
  const std::string key = tagged_id_key(kOrderTag, order);
  rocksdb::PinnableSlice value;
  const auto found = state.database->read(month.get(), key, value);
  if (!found) return std::unexpected(state.database->stop(found.error()));
  std::string_view record = value.ToStringView();
  if (!*found) {
    const auto pending = state.writes.find(month.get(), key);
    if (!pending) return std::nullopt;
    record = *pending;
  }
  auto loaded = decoded(state, order, key, record);
  if (!loaded) return std::unexpected(loaded.error());
  return std::move(*loaded);
}

}  // namespace penstock::rocksdb_store
