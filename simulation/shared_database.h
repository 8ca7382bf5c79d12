#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "adapters/memory/memory_disk.h"
#include "adapters/memory/memory_store.h"
#include "domain/contract.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/limits.h"
#include "ports/order_store.h"
#include "simulation/probe.h"

namespace penstock::simulation {

/// One run of one node: a process. A node that starts again is another run of it.
struct NodeRun {
  std::uint32_t node = 0;
  std::uint32_t run = 0;

  auto operator<=>(const NodeRun&) const = default;
};

/// A promise that the database breaks on purpose, so that tests see that the checker notices.
enum class Flaw : std::uint8_t {
  none,
  ignores_versions,   ///< a stale commit overwrites the record
  forgets_accepts,    ///< some accepts are acknowledged and not stored
  forgets_keys,       ///< idempotency keys are not stored
  drops_deliveries,   ///< a terminal batch ends without its deliveries
  reads_old_records,  ///< a reader is shown the record before the present one
  denies_parts,       ///< a batch of which a part landed is told as not done
};

struct SharedDatabaseOptions {
  std::size_t max_active = domain::limits::kDefaultMaxActive;
  domain::Contract default_contract = memory_store::MemoryStoreOptions{}.default_contract;
  domain::Duration idempotency_retention = domain::limits::kIdempotencyRetention;
  /// How long a claimed order, a terminal batch or a delivery is its claimer's. At least 1 us.
  domain::Duration lease = domain::Duration::seconds(5);
  Flaw flaw = Flaw::none;
};

/// What a group of commands came to.
struct Applied {
  std::vector<ports::CommandResult> results;
  std::vector<domain::Order> held;  ///< accepted ones that are leased to who stored them
};

/// Told of each applied batch, around it, in the order in which batches become durable.
class CommitObserver {
 public:
  virtual ~CommitObserver() = default;
  /// The commands as they arrived; they are moved from afterwards.
  virtual void before_commit(const NodeRun& from, std::span<const ports::Command> commands,
                             domain::Now now) = 0;
  virtual void after_commit(std::span<const ports::CommandResult> results) = 0;
};

/// The database that all nodes of a world share: one serializable store, versioned, on its own
/// clock, with leases that end. Each call is a transaction of its own. It never fails; what goes
/// wrong between it and a node is the SharedStoreClient's. Restarting it loses nothing but what an
/// embedded store loses too (releases); whoever cuts the connections then is the world. One thread.
class SharedDatabase {
 public:
  using Clock = std::function<domain::Now()>;

  SharedDatabase(SharedDatabaseOptions options, Clock clock);

  /// The database's process ends and starts again, on the same machine or after it booted.
  enum class Boot : std::uint8_t { same, another };
  void restart(Boot boot);

  /// A node's process starts. What its last run had leased is free again, and the orders which that
  /// run had marked are interrupted if it did not end cleanly.
  NodeRun start_run(std::uint32_t node);
  /// The run ends cleanly.
  void end_run(const NodeRun& run);

  /// As ports::OrderStore, on behalf of a run. Of the accepts at the places `to_hold` those orders
  /// are leased to it at once that wait behind no other of their tenants in the stage's line.
  Applied apply(const NodeRun& run, std::span<ports::Command> commands,
                std::vector<std::size_t> to_hold = {});

  // As ports::OrderStore, each on behalf of a run.
  std::vector<domain::Order> claim(const NodeRun& run, domain::Stage stage, std::size_t limit,
                                   ports::ClaimPlaces* places);
  std::optional<domain::Order> claim_one(const NodeRun& run, const domain::OrderId& order);
  void release(const NodeRun& run, const domain::OrderId& order, domain::Instant due);
  void mark(const NodeRun& run, std::span<const domain::OrderId> orders);
  std::vector<ports::TerminalBatch> take_terminal_batches(const NodeRun& run, std::size_t limit);
  std::vector<ports::Delivery> take_deliveries(const NodeRun& run, std::size_t limit,
                                               std::span<const domain::TenantId> left_out);
  ports::StoreDepth depth() const { return core_->depth(); }
  std::optional<domain::Instant> next_due() const;
  ports::Recovery recovery(const NodeRun& run) const;
  void settled(const NodeRun& run);

  const ports::OrderReader& reader() const { return *core_; }
  std::expected<std::optional<ports::StoredOrder>, ports::StoreError> find(
      const domain::OrderId& order) const;

  /// Everything that is stored.
  const memory_store::MemoryDisk& disk() const { return *disk_; }
  domain::Now now() const { return clock_(); }
  /// Orders, batches and deliveries that were leased so far.
  std::uint64_t claims() const { return claims_; }
  /// Groups of commands that were applied so far.
  std::uint64_t commits() const { return commits_; }
  /// Leases of orders that are held now.
  std::size_t leases() const { return orders_.held.size(); }

  const SharedDatabaseOptions& options() const { return options_; }
  /// Counts a rare branch, of its own or of a client's.
  void hit(Probe probe) {
    if (probes_ != nullptr) probes_->hit(probe);
  }

  void set_observer(CommitObserver* observer) { observer_ = observer; }
  void set_probes(ProbeCounts* probes) { probes_ = probes; }

 private:
  enum class LeasedBy : std::uint8_t { claim, accept };
  struct Lease {
    NodeRun holder;
    domain::Instant until;
    LeasedBy by = LeasedBy::claim;
  };
  /// Leases of one kind of thing, with the last one that was lost by its end.
  template <typename Key>
  struct LeaseTable {
    std::map<Key, Lease> held;
    std::set<std::pair<domain::Instant, Key>> by_end;
    std::map<Key, Lease> lost;

    void take(const Key& key, const Lease& lease) {
      drop(key);
      held[key] = lease;
      by_end.emplace(lease.until, key);
    }
    bool drop(const Key& key) {
      const auto found = held.find(key);
      if (found == held.end()) return false;
      by_end.erase({found->second.until, key});
      held.erase(found);
      return true;
    }
    /// The next one whose end has come, now dropped and noted as lost.
    std::optional<Key> take_ended(domain::Instant now) {
      if (by_end.empty() || by_end.begin()->first > now) return std::nullopt;
      const Key key = by_end.begin()->second;
      lost[key] = held.find(key)->second;
      drop(key);
      return key;
    }
    std::vector<Key> of_node(std::uint32_t node) const {
      std::vector<Key> keys;
      for (const auto& [key, lease] : held) {
        if (lease.holder.node == node) keys.push_back(key);
      }
      return keys;
    }
  };
  /// Deliveries that wait, by due time.
  struct DueQueue {
    std::set<std::pair<domain::Instant, domain::OrderId>> by_due;
    std::map<domain::OrderId, domain::Instant> due;

    void put(const domain::OrderId& order, domain::Instant at) {
      erase(order);
      by_due.emplace(at, order);
      due[order] = at;
    }
    void erase(const domain::OrderId& order) {
      const auto found = due.find(order);
      if (found == due.end()) return;
      by_due.erase({found->second, order});
      due.erase(found);
    }
  };
  using Attempt = std::pair<domain::OrderId, std::int32_t>;
  struct Node {
    std::uint32_t runs = 0;
    memory_store::LastEnd last_end = memory_store::LastEnd::none;
    std::int32_t unclean_ends = 0;
    std::vector<domain::OrderId> marks;
    ports::Recovery recovery;
  };

  void open();
  void end_leases();
  void wait_again(const Attempt& attempt);
  void fetch_new_work();
  void lease_order(const NodeRun& run, const domain::OrderId& order);
  bool waits_behind_another(const domain::Order& order) const;
  void join_line(const domain::Order& order);
  void leave_line(const domain::Order& order);
  std::vector<domain::Order> hold(const NodeRun& run, std::span<const std::size_t> places,
                                  std::span<const ports::CommandResult> results);
  void after_command(const NodeRun& run, const ports::Command& command);
  void after_transition(const NodeRun& run, const domain::OrderId& order,
                        const ports::CommitResult& result);

  void keep_old_records(std::span<const ports::Command> commands);
  void break_promises_before(std::span<ports::Command> commands);
  void break_promises_after(std::span<const ports::Command> sent,
                            std::span<ports::CommandResult> results);

  SharedDatabaseOptions options_;
  Clock clock_;
  std::shared_ptr<memory_store::MemoryDisk> disk_ = std::make_shared<memory_store::MemoryDisk>();
  std::unique_ptr<memory_store::MemoryStore> core_;
  std::uint32_t boots_ = 1;
  std::map<std::uint32_t, Node> nodes_;
  LeaseTable<domain::OrderId> orders_;
  /// By tenant and stage, who came last into the line of first claims.
  std::unordered_map<domain::TenantId, std::array<domain::OrderId, domain::kStages + 1>>
      last_in_line_;
  LeaseTable<std::uint64_t> batches_;
  LeaseTable<Attempt> deliveries_;
  std::map<std::uint64_t, ports::TerminalBatch> waiting_batches_;  ///< not leased
  DueQueue waiting_deliveries_;                                    ///< not leased
  std::map<domain::OrderId, ports::StoredOrder> old_records_;      ///< for reads_old_records
  std::uint64_t accepts_ = 0;                                      ///< for forgets_accepts
  std::uint64_t claims_ = 0;
  std::uint64_t commits_ = 0;
  CommitObserver* observer_ = nullptr;
  ProbeCounts* probes_ = nullptr;
};

}  // namespace penstock::simulation
