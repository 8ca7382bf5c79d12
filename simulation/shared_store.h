#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "adapters/postgres/batch_split.h"
#include "adapters/postgres/held_orders.h"
#include "adapters/postgres/part_outcomes.h"
#include "adapters/postgres/postgres_store_options.h"
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
  /// The node's own clock, which no one sets.
  virtual domain::MonotonicTime uptime() = 0;
  /// What the node's clock shows at a time of the database's, and the other way round.
  virtual domain::Instant shown_at(domain::Instant database_time) = 0;
  virtual domain::Instant database_time_of(domain::Instant shown) = 0;
};

/// How a process writes (docs/decisions/0031).
struct Writing {
  postgres_store::Holding holding = postgres_store::Holding::none;
  /// Batches of so many commands are divided by tenant over two connections; 0: there is one.
  std::size_t least_split_batch = 0;
};

/// One process's client of the shared database: the order store as its pipeline sees it. A lost
/// request or answer of an apply is `unknown_outcome`, of anything else `unavailable`: what a claim
/// or a take leased is then found again when the lease ends. Releases go with the next call. Time
/// is the database's; the `now` that is passed in counts for nothing, and times that go over the
/// road are spans from now. Depths and times are the last known ones while the database cannot be
/// reached. What it holds, how it divides a batch and what its parts come to are the PostgreSQL
/// adapter's own code. One thread.
class SharedStoreClient final : public ports::OrderStore, public ports::OrderReader {
 public:
  /// `database` and `road` outlive the client; without a road every call gets through.
  SharedStoreClient(SharedDatabase& database, NodeRun run, DatabaseRoad* road = nullptr,
                    Writing writing = {});

  const NodeRun& run() const { return run_; }
  /// Orders that were accepted and are leased to this process, and that it was not asked for yet.
  std::size_t held() const { return held_.size(); }

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
  domain::Standing standing(const domain::TenantId& tenant) const override;
  std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, ports::StoreError>
  contracts(const domain::TenantId& after, std::size_t limit) const override;

 private:
  using HeldOrders = postgres_store::HeldOrders;
  using Release = std::pair<domain::OrderId, domain::Instant>;
  /// What one connection is to do in one transaction.
  struct Part {
    std::span<ports::Command> commands;
    std::vector<std::size_t> to_hold;  ///< places of accepts
    std::vector<Release> releases;
  };
  /// Why a part has no answer.
  struct Loss {
    ports::StoreError error = ports::StoreError::unavailable;
  };
  using PartOutcomes = postgres_store::PartOutcomes<Applied, Loss>;

  Passage leave(CallKind kind) const;
  bool reads() const;
  Heard arrived(CallKind kind, Passage passage) const;
  HeldOrders::Clock::time_point uptime() const;
  /// Makes a call that is carried out or not, and heard of or not.
  template <typename Call>
  auto call_once(CallKind kind, Call call) const
      -> std::expected<decltype(call()), ports::StoreError>;
  /// The same behind the releases that wait.
  template <typename Call>
  auto call(CallKind kind, Call call) const -> std::expected<decltype(call()), ports::StoreError>;
  std::expected<void, ports::StoreError> send_releases() const;

  std::size_t parts_for(std::size_t commands) const;
  std::vector<Part> parts_of(postgres_store::BatchSplit& split,
                             std::optional<domain::Stage> hold_stage) const;
  PartOutcomes::Outcome commit(const Part& part, bool is_alone);
  static Applied carry_out(SharedDatabase& database, const NodeRun& run, const Part& part);
  void give_back_unheard(std::span<const Part> parts);
  void give_back(std::span<const domain::Order> orders);

  SharedDatabase& database_;
  NodeRun run_;
  DatabaseRoad* road_;
  Writing writing_;
  ports::Recovery recovery_;
  HeldOrders held_;
  /// By stage, until when one that had no more is not asked while there is something to hand out.
  std::array<HeldOrders::Clock::time_point, domain::kStages + 1> ask_again_{};
  mutable std::vector<Release> releases_;  ///< in the database's time
  mutable ports::StoreDepth depth_;
  mutable std::optional<domain::Instant> next_due_;
};

}  // namespace penstock::simulation
