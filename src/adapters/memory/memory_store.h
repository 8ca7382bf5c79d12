#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapters/memory/limiter.h"
#include "adapters/memory/memory_disk.h"
#include "adapters/memory/stock_room.h"
#include "adapters/memory/work_index.h"
#include "domain/contract.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/limits.h"
#include "domain/order.h"
#include "domain/token_bucket.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::memory_store {

struct MemoryStoreOptions {
  /// The depth bound: orders that are not terminal, shared by the tenants.
  std::size_t max_active = domain::limits::kDefaultMaxActive;
  /// In force for tenants without a stored contract: 1 000 orders a second, burst 2 000.
  domain::Contract default_contract{
      .bucket = {.rate = {.micro_tokens = 1'000 * domain::kMicroTokensPerToken}, .burst = 2'000},
      .guarantee = std::nullopt,
      .weight = 1,
      .webhook = std::nullopt};
  domain::Duration idempotency_retention = domain::limits::kIdempotencyRetention;
  std::string boot_id;  ///< monotonic times are comparable only under the same one
  domain::Now now;      ///< of this start
};

/// The order store in plain memory: the reference of the store's semantics, for tests, the
/// simulator and `--store memory:`. What a disk would hold is in a MemoryDisk; a store destroyed
/// without `close` is a crash, and the next one on the same disk recovers as the embedded store
/// does. One thread writes, any thread reads (one mutex). Deterministic: the same calls give the
/// same results. History is never dropped. An order of a tenant without a contract beyond
/// kMaxTenants of these finds it full.
class MemoryStore final : public ports::OrderStore, public ports::OrderReader {
 public:
  /// Opens `disk` (not null), which no other store may be using, and recovers: unclean ends are
  /// counted, marked orders interrupted, queues and reservations rebuilt, all durable at return.
  MemoryStore(std::shared_ptr<MemoryDisk> disk, MemoryStoreOptions options);

  /// The clean end of the run, durable: the next start counts no unclean end. After it nothing but
  /// destruction is allowed. Not after a failed write.
  void close();

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      std::span<ports::Command> commands, domain::Now now) override;
  std::expected<std::vector<domain::Order>, ports::StoreError> claim_within(
      domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places, domain::Now now) override;
  std::expected<std::optional<domain::Order>, ports::StoreError> claim_one(
      const domain::OrderId& order) override;
  void release(const domain::OrderId& order, domain::Instant due) override;
  std::expected<void, ports::StoreError> mark(std::span<const domain::OrderId> orders) override;
  std::expected<std::vector<ports::TerminalBatch>, ports::StoreError> take_terminal_batches(
      std::size_t limit) override;
  std::expected<std::vector<ports::Delivery>, ports::StoreError> take_deliveries(
      std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) override;
  ports::StoreDepth depth() const override;
  std::optional<domain::Instant> next_due() const override;
  ports::Recovery recovery() const override;
  std::expected<void, ports::StoreError> settled() override;

  std::expected<std::optional<ports::StoredOrder>, ports::StoreError> find(
      const domain::OrderId& order) const override;
  std::expected<ports::OrderPage, ports::StoreError> list(
      const ports::OrderQuery& query) const override;
  std::expected<ports::OrderPage, ports::StoreError> dead_letters(
      const ports::DeadLetterQuery& query) const override;
  std::expected<ports::OrderPage, ports::StoreError> owed_refunds(
      std::optional<domain::OrderId> after, std::size_t limit) const override;
  std::expected<std::optional<domain::Stock>, ports::StoreError> stock(
      const domain::TenantId& tenant, const domain::ProductId& product) const override;
  std::expected<domain::Contract, ports::StoreError> contract(
      const domain::TenantId& tenant) const override;
  domain::Standing standing(const domain::TenantId& tenant) const override;
  std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, ports::StoreError>
  contracts(const domain::TenantId& after, std::size_t limit) const override;

 private:
  /// What one apply adds up over its commands.
  struct Batch {
    domain::Now now;
    std::vector<ports::TerminalBatch::Entry> ended;
  };

  void recover();
  void recover_ends_and_marks();
  /// Before a synced call's writes: an error if the store is stopped, or stops here and loses them.
  std::expected<void, ports::StoreError> begin_write();
  /// After them: an error if the store stopped here although they landed.
  std::expected<void, ports::StoreError> end_write();

  ports::CommandResult run(ports::Accept& command, Batch& batch);
  ports::CommandResult run(ports::Commit& command, Batch& batch);
  ports::CommandResult run(ports::PeekBucket& command, Batch& batch);
  ports::CommandResult run(ports::SetStock& command, Batch& batch);
  ports::CommandResult run(ports::Restock& command, Batch& batch);
  ports::CommandResult run(ports::PutContract& command, Batch& batch);
  ports::CommandResult run(ports::FinishTerminalBatch& command, Batch& batch);
  ports::CommandResult run(ports::DeliveryAttempt& command, Batch& batch);

  /// Moves stock and writes the order over `stored`, where `current` is (null for a new one),
  /// rejected instead where a reservation is short; returns it as stored.
  const domain::Order& write(ports::Commit& commit, const domain::Order* current,
                             ports::StoredOrder& stored, Batch& batch);
  void index(const domain::Order& order, domain::Instant now);
  /// The answer to a key that is stored and not expired.
  std::optional<ports::AcceptResult> answer_from_key(const ports::Accept& command,
                                                     const domain::Now& now) const;
  void store_key(const domain::Order& order, const ports::IdempotencyClaim& claim,
                 const domain::Now& now);
  void remove_expired_keys(domain::Instant now);
  bool is_one_name_too_many(const domain::TenantId& tenant) const;

  mutable std::mutex mutex_;
  std::shared_ptr<MemoryDisk> disk_;
  MemoryStoreOptions options_;
  Limiter limiter_;
  StockRoom stock_room_;
  WorkIndex work_;
  std::set<domain::OrderId> dead_letters_;  ///< open, or compensated and still the record
  std::set<domain::OrderId> owed_refunds_;
  std::uint64_t taken_through_ = 0;  ///< the last terminal batch that was handed out
  std::set<std::pair<domain::Instant, domain::OrderId>> waiting_deliveries_;  ///< not taken
  domain::Instant deliveries_looked_at_;  ///< at the last take_deliveries
  ports::Recovery recovery_;
  std::optional<ports::StoreError> stopped_;
};

}  // namespace penstock::memory_store
