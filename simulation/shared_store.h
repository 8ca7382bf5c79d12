#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"
#include "simulation/shared_database.h"

namespace penstock::simulation {

/// What becomes of one call on its way to the database and back.
enum class Passage : std::uint8_t {
  through,
  refused,       ///< certainly never sent
  request_lost,  ///< sent and never arrived; its sender cannot know
  slow_answer,   ///< carried out, and the answer takes its time; it may be cut off meanwhile
  answer_lost,   ///< carried out
  late,          ///< carried out after its sender has given it up
};

/// Whether an answer arrived in the end.
enum class Heard : std::uint8_t { yes, no };

/// What a node asks the database for.
enum class CallKind : std::uint8_t { apply, claim, take, mark, read };

/// A node's way to the database; decides what happens to each call.
class DatabaseRoad {
 public:
  virtual ~DatabaseRoad() = default;
  /// Before a call leaves; may throw Crash.
  virtual Passage leave(CallKind kind) = 0;
  /// After a call was carried out whose passage was through or slow_answer; may throw Crash.
  virtual Heard arrived(CallKind kind, Passage passage) = 0;
  /// Runs `call`, an apply whose passage is late, when it arrives.
  virtual void carry_late(std::move_only_function<void()> call) = 0;
  /// What the node's clock shows at a time of the database's, and the other way round.
  virtual domain::Instant shown_at(domain::Instant database_time) = 0;
  virtual domain::Instant database_time_of(domain::Instant shown) = 0;
};

/// One process's client of the shared database: the order store as its pipeline sees it. A lost
/// request or answer of an apply is `unknown_outcome`, of anything else `unavailable`: what a claim
/// or a take leased is then found again when the lease ends. Time is the database's; the `now` that
/// is passed in counts for nothing, and times that go over the road are spans from now. Depths and
/// times are the last known ones while the database cannot be reached. One thread.
class SharedStoreClient final : public ports::OrderStore, public ports::OrderReader {
 public:
  /// `database` and `road` outlive the client; without a road every call gets through.
  SharedStoreClient(SharedDatabase& database, NodeRun run, DatabaseRoad* road = nullptr);

  const NodeRun& run() const { return run_; }

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      std::span<ports::Command> commands, domain::Now now) override;
  std::expected<std::vector<domain::Order>, ports::StoreError> claim(domain::Stage stage,
                                                                     std::size_t limit,
                                                                     domain::Now now) override;
  std::expected<std::optional<domain::Order>, ports::StoreError> claim_one(
      const domain::OrderId& order) override;
  void release(const domain::OrderId& order, domain::Instant due) override;
  std::expected<void, ports::StoreError> mark(std::span<const domain::OrderId> orders) override;
  std::expected<std::vector<ports::TerminalBatch>, ports::StoreError> take_terminal_batches(
      std::size_t limit) override;
  std::expected<std::vector<ports::Delivery>, ports::StoreError> take_deliveries(
      std::size_t limit, domain::Now now) override;
  ports::StoreDepth depth() const override;
  std::optional<domain::Instant> next_due() const override;
  ports::Recovery recovery() const override { return recovery_; }
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
  std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, ports::StoreError>
  contracts(const domain::TenantId& after, std::size_t limit) const override;

 private:
  Passage leave(CallKind kind) const;
  bool reads() const;
  Heard arrived(CallKind kind, Passage passage) const;
  /// Makes a call that is carried out or not, and heard of or not.
  template <typename Call>
  auto call(CallKind kind, Call call) const -> std::expected<decltype(call()), ports::StoreError>;

  SharedDatabase& database_;
  NodeRun run_;
  DatabaseRoad* road_;
  ports::Recovery recovery_;
  mutable ports::StoreDepth depth_;
  mutable std::optional<domain::Instant> next_due_;
};

}  // namespace penstock::simulation
