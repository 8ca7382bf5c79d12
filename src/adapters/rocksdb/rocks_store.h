#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "adapters/rocksdb/rocks_store_options.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::rocksdb_store {

struct StoreState;

/// The embedded order store on RocksDB: one writer thread, one synced write a batch, history in one
/// column family a month. What a call returned as done survives the process and the machine. After
/// a failed write or sync every call answers with that error and nothing is retried.
class RocksStore final : public ports::OrderStore {
 public:
  /// Opens the store at `options.path`, or makes it, and recovers what the last run left. Only one
  /// process may have it open.
  static std::expected<std::unique_ptr<RocksStore>, OpenError> open(RocksStoreOptions options);

  /// Without `close` before it this is an unclean end.
  ~RocksStore() override;

  /// Any thread; lives as long as the store.
  const ports::OrderReader& reader() const;

  /// The clean end of the run, synced: the next start counts no unclean end. Afterwards every call
  /// answers `stopped`.
  std::expected<void, ports::StoreError> close();

  /// Drops history older than `first_kept` and returns the months that went. Never one within the
  /// least retention of a time that can be believed (agrees_with_clock), nor one that an active
  /// order, an unfinished terminal batch or a delivery names, nor any later one. The writer's
  /// thread.
  std::expected<std::vector<domain::Month>, ports::StoreError> drop_months_before(
      domain::Month first_kept, domain::Now now);

  /// Whether the wall clock may be believed where an error cannot be taken back
  /// (domain::ClockEvidence). While it may not, no key expires and no month is dropped by it.
  bool agrees_with_clock(domain::Now now) const;

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

 private:
  friend class StoreOpener;
  explicit RocksStore(std::unique_ptr<StoreState> state);

  std::expected<void, ports::StoreError> prepare_month(domain::Instant now);
  /// Of orders that are nowhere any more: what the dead letter list names of months before.
  std::expected<void, ports::StoreError> forget_dead_letters_before(domain::Month first_kept);

  std::unique_ptr<StoreState> state_;
  std::unique_ptr<ports::OrderReader> reader_;
  domain::Instant next_month_check_;
};

}  // namespace penstock::rocksdb_store
