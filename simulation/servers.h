#pragma once

#include <cstdint>

#include "adapters/memory/memory_disk.h"
#include "domain/instant.h"
#include "pipeline/pipeline.h"
#include "ports/order_reader.h"
#include "simulation/clients.h"
#include "simulation/scenario.h"
#include "simulation/simulated_gateway.h"
#include "simulation/simulated_peers.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// The peers of a world.
struct Peers {
  explicit Peers(Surroundings& around)
      : gateway(around), fulfiller(around), receivers(around), copies(around) {}

  SimulatedGateway gateway;
  SimulatedFulfiller fulfiller;
  SimulatedReceivers receivers;
  SimulatedCopies copies;
};

/// The options that a scenario's policy gives a pipeline.
pipeline::PipelineOptions pipeline_options_of(const Scenario& scenario);

/// The server side of a world: the processes that clients talk to, and what they store.
class Servers : public Front {
 public:
  virtual void start() = 0;
  /// Starts what the scenario says of crashes and other misfortunes.
  virtual void start_misfortunes() = 0;
  /// Faults stop.
  virtual void clear_up() {}
  /// True once whoever is to run runs and has nothing to do.
  virtual bool at_rest() const = 0;

  /// What is stored, whole.
  virtual const memory_store::MemoryDisk& disk() const = 0;
  /// The reader of it, at rest.
  virtual const ports::OrderReader& stored() const = 0;
  /// The wall clock by which holds are judged.
  virtual domain::Instant wall() = 0;
  virtual std::uint64_t crashes() const = 0;
  virtual std::uint64_t commits() const = 0;
};

}  // namespace penstock::simulation
