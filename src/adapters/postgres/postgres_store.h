#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapters/postgres/batch.h"
#include "adapters/postgres/batch_split.h"
#include "adapters/postgres/connection.h"
#include "adapters/postgres/held_orders.h"
#include "adapters/postgres/postgres_reader.h"
#include "adapters/postgres/postgres_store_options.h"
#include "adapters/postgres/store_clock.h"
#include "adapters/postgres/writer_lanes.h"
#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// The order store on a PostgreSQL database that several processes share (docs/postgres.md). Each
/// process has one store object under a node name of its own; times are the database's, and a
/// `now` that is passed in counts for nothing.
///
/// apply, claim and every other call are one round trip. `apply` returns after a COMMIT that waited
/// for the disk, or after one on each of its connections, which take different tenants' commands;
/// claims and takes do not wait for it, since a lost lease is only an order that is claimed again.
/// A connection that breaks is opened again at the next call, with pauses; what happened to a
/// COMMIT without an answer is asked for, and unknown_outcome only where that cannot be known.
/// Conflicts with other transactions are tried again.
///
/// `corrupt` (a row of another form, a schema that is not this program's) ends the store: no call
/// succeeds any more. One thread calls, any thread reads.
class PostgresStore final : public ports::OrderStore {
 public:
  /// Connects, refuses a schema of another version, takes the node's name and begins its run: an
  /// end without `close` is counted, marked orders are interrupted, leases of the last run freed.
  static std::expected<std::unique_ptr<PostgresStore>, Failure> open(PostgresStoreOptions options);

  /// The clean end of the run. After it nothing but destruction is allowed.
  std::expected<void, ports::StoreError> close();

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      std::span<ports::Command> commands, domain::Now now) override;
  std::expected<std::vector<domain::Order>, ports::StoreError> claim_within(
      domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places, domain::Now now) override;
  std::expected<std::optional<domain::Order>, ports::StoreError> claim_one(
      const domain::OrderId& order) override;
  /// Sent with the next call; lost where that fails, and then the lease runs out.
  void release(const domain::OrderId& order, domain::Instant due) override;
  std::expected<void, ports::StoreError> mark(std::span<const domain::OrderId> orders) override;
  std::expected<std::vector<ports::TerminalBatch>, ports::StoreError> take_terminal_batches(
      std::size_t limit) override;
  std::expected<std::vector<ports::Delivery>, ports::StoreError> take_deliveries(
      std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) override;
  /// Of all processes together. As it was last counted while the database is away.
  ports::StoreDepth depth() const override;
  std::optional<domain::Instant> next_due() const override;
  ports::Recovery recovery() const override { return recovery_; }
  std::expected<void, ports::StoreError> settled() override;

  const ports::OrderReader& reader() const { return reader_; }
  /// Others stored work: the next calls ask for it whatever PostgresStoreOptions::empty_pause is.
  /// Any thread.
  void expect_work() { news_ = kAllNews; }
  /// From now on no call of the store or its reader waits beyond `at`. Any thread.
  void end_by(LastCall::Clock::time_point at) { options_.last_call->end_by(at); }
  /// False while commits do not work. Any thread.
  bool is_reachable() const { return !reachability_.is_away(); }

  /// The database's, which decides what is due; known once the store is open.
  const StoreClock& clock() const { return clock_; }

  /// The last failure in the server's or libpq's words, for the log.
  const std::string& last_failure() const { return last_failure_; }
  /// Waits for the server since the start.
  std::uint64_t round_trips() const { return lanes_.round_trips(); }
  /// The server's process that serves the writing connection; 0 without one.
  int backend_pid() { return session().connection() ? session().connection()->backend_pid() : 0; }

 private:
  /// What work is asked of, by bit: the stages, the terminal batches under `notification`'s number,
  /// then the deliveries and the times.
  static constexpr unsigned kOutbox = domain::kStages;
  static constexpr unsigned kDeliveries = kOutbox + 1;
  static constexpr unsigned kTimes = kOutbox + 2;
  static constexpr unsigned kSources = kOutbox + 3;
  static constexpr std::uint32_t kAllNews = (1U << kSources) - 1;

  /// How the division of a refused part goes.
  struct Division {
    int tries = 0;          ///< that are left
    bool any_done = false;  ///< whether the database took a command
  };

  explicit PostgresStore(PostgresStoreOptions options);

  WriterSession& session() { return lanes_.first(); }
  std::vector<Batch> batches_of(BatchSplit& split, std::optional<domain::Stage> hold_stage,
                                const ActiveShares::TenantRooms* tenant_rooms);
  std::size_t parts_for(std::size_t commands) const;
  /// Carries the batches out and tells their results, one list each.
  std::expected<std::vector<std::vector<ports::CommandResult>>, ports::StoreError> carry_out(
      std::vector<Batch>& batches, BatchSplit& split);
  /// What the commands of a part come to that the database refused as one, each of which it may
  /// take: done in halves, and the halves of those that are refused. Commands for which that takes
  /// too many tries are not done.
  std::vector<ports::CommandResult> divide(std::span<ports::Command> commands,
                                           const Failure& refusal, Division& division);
  std::vector<ports::CommandResult> do_alone(std::span<ports::Command> commands,
                                             Division& division);
  void take_note_of(std::vector<Batch>& batches, std::span<const ports::CommandResult> results,
                    std::uint32_t work);
  void give_back(std::span<const domain::Order> orders);
  bool is_worth_asking(unsigned source);
  void found_no_more(unsigned source);
  std::expected<void, Failure> begin_run();
  /// One statement behind the releases that wait.
  std::expected<Rows, ports::StoreError> run(const Statement& statement,
                                             const Parameters& parameters);
  std::expected<void, ports::StoreError> flush_releases();
  std::optional<Call> release_call() const;
  ports::StoreError note(const Failure& failure);
  ports::StoreError note_corrupt(const char* what);
  std::expected<void, ports::StoreError> take_ahead(std::size_t limit);
  void probe_if_idle();
  void ask_next_due();
  std::expected<std::vector<domain::Order>, ports::StoreError> ask_for(domain::Stage stage,
                                                                       std::size_t limit,
                                                                       ports::ClaimPlaces* places);
  void count_depth();
  void count_by_tenant(ports::StoreDepth& depth);
  std::optional<ActiveShares::TenantRooms> tenant_rooms(std::span<const ports::Command> commands);
  Parameters taker(std::size_t limit) const;

  PostgresStoreOptions options_;
  Reachability reachability_;
  StoreClock clock_;
  PostgresReader reader_;
  WriterLanes lanes_;
  ActiveShares active_shares_;
  HeldOrders held_;
  std::size_t active_seen_ = 0;  ///< the depth that the last batch told of, with all of its own
  ports::Recovery recovery_;
  std::optional<ports::StoreError> stopped_;
  std::string last_failure_;
  std::vector<std::pair<domain::OrderId, domain::Instant>> releases_;
  std::vector<std::string> last_tenants_;  ///< by stage: where the next claim goes on
  std::atomic<std::uint32_t> news_{kAllNews};
  std::array<std::chrono::steady_clock::time_point, kSources> ask_again_{};
  std::vector<ports::TerminalBatch> taken_ahead_;  ///< leased and not handed out, latest first
  std::optional<domain::Instant> next_due_;        ///< as last asked
  ports::StoreDepth depth_;
  std::chrono::steady_clock::time_point depth_due_;
  std::chrono::steady_clock::time_point probe_due_;
};

}  // namespace penstock::postgres_store
