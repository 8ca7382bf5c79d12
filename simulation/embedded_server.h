#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "adapters/memory/memory_store.h"
#include "pipeline/pipeline.h"
#include "simulation/random_stream.h"
#include "simulation/servers.h"
#include "simulation/simulated_store.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// A machine on which one server process follows the other: starts, is polled when it asks to be or
/// is woken, ends by crashes, failed syncs and clean restarts, and starts again. One thread.
class EmbeddedServer final : public Servers {
 public:
  EmbeddedServer(Surroundings& around, Peers& peers);
  ~EmbeddedServer() override;

  void start() override;

  std::optional<checker::ProcessId> submit(pipeline::Request request) override;
  const ports::OrderReader* reader() override;

  /// Starts what the scenario says of crashes, restarts and clock jumps.
  void start_misfortunes() override;

  /// True once a process runs that has nothing to do.
  bool at_rest() const override;
  const memory_store::MemoryDisk& disk() const override { return *machine_.disk; }
  const ports::OrderReader& stored() const override;
  domain::Instant wall() override { return clock_.now().wall; }
  std::uint64_t crashes() const override { return crashes_; }
  std::uint64_t commits() const override { return machine_.commits; }

 private:
  /// What lives and dies with one process.
  struct Process;

  void wake();
  void poll();
  void poll_at(domain::Instant time);
  void look_for_next_poll();
  void end(Probe where);
  void end_cleanly();
  void start_after_a_while();
  void stall(domain::Duration span);
  void maybe_crash_sending();
  /// Calls `act` at random times while there are faults.
  void now_and_then(double times_a_second, std::function<void()> act);
  void jump_clock();

  Surroundings& around_;
  Peers& peers_;
  RandomStream random_;
  ProcessClock clock_;
  Machine machine_;
  TracedLog log_;
  std::unique_ptr<Process> process_;
  bool polling_ = false;
  bool woken_ = false;
  bool to_be_killed_ = false;
  bool draining_ = false;
  domain::Instant drain_until_;
  domain::Instant last_poll_;
  std::optional<domain::Instant> next_poll_;
  std::uint64_t poll_number_ = 0;  ///< of the poll that is scheduled; others are void
  std::uint64_t crashes_ = 0;
};

}  // namespace penstock::simulation
