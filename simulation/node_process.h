#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "checker/event.h"
#include "domain/instant.h"
#include "pipeline/pipeline.h"
#include "simulation/random_stream.h"
#include "simulation/servers.h"
#include "simulation/shared_database.h"
#include "simulation/shared_store.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// What all nodes of a world share, besides its surroundings.
struct NodeCommons {
  SharedDatabase& database;
  Peers& peers;
  domain::Duration clock_error{};  ///< no wall clock is off by more
  /// Connections are refused until then: the database is down.
  domain::Instant database_back_at{};
  std::uint64_t database_starts = 0;  ///< connections of an earlier one are cut
  /// The node that hangs in a call while the world goes on; one at a time.
  const void* hanging = nullptr;
};

struct NodeOptions {
  std::uint32_t number = 1;
  pipeline::Stages stages;
  domain::Duration skew;           ///< of its wall clock
  domain::Duration cycle{200};     ///< between the beginnings of two polls at least
  domain::Duration poll_interval;  ///< the fallback for wake-ups that got lost
};

/// A machine of the distributed world on which one process follows the other, each a client of the
/// shared database that runs some of the stages. It is polled when the pipeline asks for it, when a
/// wake-up or an answer comes, and every poll interval; it crashes, stands still, is cut off from
/// the database, and hangs in its calls while the others go on. One thread.
class NodeProcess final : private DatabaseRoad {
 public:
  /// Why a poll happens.
  enum class Cause : std::uint8_t { asked_for, woken, interval };

  NodeProcess(Surroundings& around, NodeCommons& commons, NodeOptions options);
  ~NodeProcess() override;
  NodeProcess(const NodeProcess&) = delete;
  NodeProcess& operator=(const NodeProcess&) = delete;

  /// Starts a process as soon as the database can be reached.
  void start();
  /// Starts what the scenario says of crashes, pauses, partitions and clock jumps of this node.
  void start_misfortunes();
  /// The machine is gone for good.
  void lose();
  /// Faults stop: the partition heals, the pause ends.
  void clear_up();

  /// Wakes the process, if it runs: there may be work.
  void wake(Cause cause = Cause::woken);
  /// Hands a request in; false if no process takes connections.
  bool submit(pipeline::Request request);
  /// Null if no process takes connections.
  const ports::OrderReader* reader() const;

  checker::ProcessId id() const { return {options_.number}; }
  const pipeline::Stages& stages() const { return options_.stages; }
  bool running() const { return process_ != nullptr; }
  bool lost() const { return lost_; }
  /// True where nothing is waiting or in flight in it.
  bool at_rest() const;
  std::uint64_t crashes() const { return crashes_; }

 private:
  /// What lives and dies with one process.
  struct Process;

  Passage leave(CallKind kind) override;
  Heard arrived(CallKind kind, Passage passage) override;
  void carry_late(std::move_only_function<void()> call) override;
  domain::MonotonicTime uptime() override { return clock_.uptime(); }
  domain::Instant shown_at(domain::Instant database_time) override;
  domain::Instant database_time_of(domain::Instant shown) override;
  Passage misfortune(CallKind kind);
  bool database_reachable() const;

  void poll_at(domain::Instant time, Cause cause);
  void poll(Cause cause);
  void look_for_next_poll(bool found_work);
  void end(Probe where);
  void start_after_a_while();
  /// False if the connection was cut meanwhile.
  bool hang(domain::Duration span);
  void maybe_crash_sending();
  /// Calls `act` at random times while there are faults.
  void now_and_then(double times_a_second, std::function<void()> act);
  void crash_sometime();
  void pause();
  void cut_off();
  void jump_clock();

  Surroundings& around_;
  NodeCommons& commons_;
  NodeOptions options_;
  RandomStream random_;  ///< what the process draws
  RandomStream fate_;    ///< what happens to it
  ProcessClock clock_;
  TracedLog log_;
  std::unique_ptr<Process> process_;
  std::uint64_t starts_ = 0;  ///< of starts that are scheduled, the last counts
  bool lost_ = false;
  bool polling_ = false;
  std::optional<Cause> woken_;  ///< while it was polling
  bool to_be_killed_ = false;
  domain::Instant standing_still_until_;
  domain::Instant cut_off_until_;
  domain::Instant respite_until_;    ///< neither hangs nor stands still
  domain::Instant connected_until_;  ///< is not cut off
  domain::Instant last_poll_;
  domain::Duration interval_;  ///< doubles while polls find nothing
  std::optional<domain::Instant> next_poll_;
  std::uint64_t poll_number_ = 0;  ///< of the poll that is scheduled; others are void
  std::uint64_t crashes_ = 0;
};

}  // namespace penstock::simulation
