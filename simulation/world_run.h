#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "adapters/memory/memory_disk.h"
#include "checker/history.h"
#include "domain/instant.h"
#include "ports/order_reader.h"
#include "simulation/clients.h"
#include "simulation/embedded_server.h"
#include "simulation/run.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// The server side of a world: the processes that clients talk to, and what they store.
class Servers : public Front {
 public:
  virtual void start() = 0;
  /// Starts what the scenario says of crashes and other misfortunes.
  virtual void start_misfortunes() = 0;
  /// Faults stop.
  virtual void clear_up() = 0;
  /// True once whoever is to run runs and has nothing to do.
  virtual bool at_rest() const = 0;

  /// What is stored, whole.
  virtual const memory_store::MemoryDisk& disk() const = 0;
  virtual const ports::OrderReader& stored() const = 0;
  /// The wall clock by which holds are judged.
  virtual domain::Instant wall() = 0;
  virtual std::uint64_t crashes() const = 0;
  virtual std::uint64_t commits() const = 0;
};

using MakeServers = std::function<std::unique_ptr<Servers>(Surroundings&, Peers&)>;

/// Runs a world to its end: clients and misfortunes until the clients are content, then the same
/// without faults until everything has come to rest. Judges safety after every step and liveness at
/// rest. A function of its arguments alone.
RunResult run_world(const RunOptions& options, const checker::HistoryOptions& history,
                    const MakeServers& make_servers);

/// What the judge is told of a scenario.
checker::HistoryOptions history_options_of(const Scenario& scenario);

}  // namespace penstock::simulation
