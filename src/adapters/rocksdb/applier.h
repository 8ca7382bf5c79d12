#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adapters/rocksdb/store_state.h"
#include "domain/instant.h"
#include "ports/order_store.h"

namespace penstock::rocksdb_store {

/// Applies one batch of commands: changes the memory as they come, collects the writes, and writes
/// them synced at the end. An error at any point stops the store, so nothing is ever taken back.
/// Lives for one call of `apply`.
class Applier {
 public:
  Applier(StoreState& state, domain::Now now);

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> run(
      std::span<ports::Command> commands);

 private:
  template <typename Result>
  using Maybe = std::expected<Result, ports::StoreError>;

  Maybe<ports::CommandResult> apply(ports::Accept& command);
  Maybe<ports::CommandResult> apply(ports::Commit& command);
  Maybe<ports::CommandResult> apply(ports::PeekBucket& command);
  Maybe<ports::CommandResult> apply(ports::SetStock& command);
  Maybe<ports::CommandResult> apply(ports::Restock& command);
  Maybe<ports::CommandResult> apply(ports::PutContract& command);
  Maybe<ports::CommandResult> apply(ports::FinishTerminalBatch& command);
  Maybe<ports::CommandResult> apply(ports::DeliveryAttempt& command);

  /// The answer to a key that is stored and not expired; nothing where the key may be claimed.
  Maybe<std::optional<ports::AcceptResult>> answer_from_key(const ports::Accept& command);
  /// A token of the tenant's bucket; the row is made with its first order.
  std::optional<std::uint32_t> take_token(const domain::TenantId& tenant,
                                          ports::AcceptResult& result);
  void store_key(const ports::Accept& command);

  enum class Moved : std::uint8_t { as_decided, rejected_instead };
  /// Moves stock and writes the order where its status belongs.
  Maybe<Moved> write_order(ports::Commit& commit, std::uint32_t tenant);
  void write_active(const domain::Order& order, std::uint32_t tenant);
  Maybe<void> write_terminal(const domain::Order& order, std::uint32_t tenant,
                             std::string_view receipt);
  void write_listed(const domain::Order& order, bool was_dead_letter, bool was_owed);
  void change_bucket(std::uint32_t tenant);
  Maybe<void> store_deliveries(const ports::FinishTerminalBatch& command);

  Maybe<void> finish();
  void store_terminal_batch();
  /// Stores what changed of stock and buckets: what is new as a record of its own, the rest in one.
  void store_changes();
  void sweep_changes();

  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return state_.database->handle(family);
  }

  StoreState& state_;
  domain::Now now_;
  domain::Instant trusted_;  ///< what keys expire by
  domain::MonotonicTime limiter_time_;
  std::vector<BatchRecord::Entry> ended_;  ///< tenants by their number in the table
  std::vector<std::uint32_t> changed_buckets_;
  std::vector<std::uint32_t> changed_contracts_;
  std::string idempotency_key_;  ///< of the accept in hand
};

}  // namespace penstock::rocksdb_store
