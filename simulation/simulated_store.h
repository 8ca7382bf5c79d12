#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "adapters/memory/memory_disk.h"
#include "adapters/memory/memory_store.h"
#include "checker/event.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "ports/order_store.h"
#include "simulation/random_stream.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// The one process of a world with an embedded store.
inline constexpr checker::ProcessId kOnlyProcess{1};

/// What outlives the processes of a machine: the disk, and what the tap knows of it.
struct Machine {
  std::shared_ptr<memory_store::MemoryDisk> disk = std::make_shared<memory_store::MemoryDisk>();
  /// What landed although nobody heard of it; told behind the next start.
  std::vector<checker::Occurrence> unheard;
  std::unordered_map<domain::OrderId, domain::Version> told;  ///< the last one the judge knows of
  /// For the defect that loses what was acknowledged: the disk as it once was.
  std::optional<memory_store::MemoryDisk> old_disk;
  std::uint64_t commits = 0;
};

/// The embedded store with its misfortunes, and a tap that tells the judge what became durable. One
/// per process. One thread.
class SimulatedStore final : public ports::OrderStore {
 public:
  /// Lets virtual time pass while the process hangs in a call; may throw Crash.
  using Stall = std::function<void(domain::Duration)>;

  SimulatedStore(Surroundings& around, Machine& machine, memory_store::MemoryStore& store,
                 RandomStream& random, Stall stall)
      : around_(around),
        machine_(machine),
        store_(store),
        random_(random),
        stall_(std::move(stall)) {}

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      std::span<ports::Command> commands, domain::Now now) override;
  std::expected<std::vector<domain::Order>, ports::StoreError> claim_within(
      domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places, domain::Now now) override;
  std::expected<std::optional<domain::Order>, ports::StoreError> claim_one(
      const domain::OrderId& order) override;
  void release(const domain::OrderId& order, domain::Instant due) override {
    store_.release(order, due);
  }
  std::expected<void, ports::StoreError> mark(std::span<const domain::OrderId> orders) override;
  std::expected<std::vector<ports::TerminalBatch>, ports::StoreError> take_terminal_batches(
      std::size_t limit) override;
  std::expected<std::vector<ports::Delivery>, ports::StoreError> take_deliveries(
      std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) override;
  ports::StoreDepth depth() const override { return store_.depth(); }
  std::optional<domain::Instant> next_due() const override { return store_.next_due(); }
  ports::Recovery recovery() const override { return store_.recovery(); }
  std::expected<void, ports::StoreError> settled() override;

 private:
  enum class Written : std::uint8_t { lost, landed };
  /// Whether the judge is told of a write now, or behind the next start.
  enum class Heard : std::uint8_t { now, later };

  std::optional<ports::StoreError> misfortune_before();
  std::expected<std::vector<ports::CommandResult>, ports::StoreError> write(
      std::span<ports::Command> commands, domain::Now now, domain::Instant asked_at, Heard heard);
  std::unexpected<ports::StoreError> fail_sync(ports::StoreError error,
                                               std::span<ports::Command> commands, domain::Now now,
                                               Written written);

  Surroundings& around_;
  Machine& machine_;
  memory_store::MemoryStore& store_;
  RandomStream& random_;
  Stall stall_;
  std::optional<ports::StoreError> stopped_;
};

}  // namespace penstock::simulation
