#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "checker/event.h"
#include "domain/ids.h"
#include "domain/order.h"
#include "simulation/node_process.h"
#include "simulation/random_stream.h"
#include "simulation/servers.h"
#include "simulation/shared_database.h"
#include "simulation/store_tap.h"
#include "simulation/surroundings.h"

namespace penstock::simulation {

/// Which stages each node of a world runs, drawn from its seed: every stage on two nodes at least.
std::vector<pipeline::Stages> drawn_layout(RandomStream& random, const ClusterFaults& faults);

/// All nodes of a distributed world with their database: clients reach any of those that take
/// orders, commits wake the nodes of the next stage, and the tap beside the database tells the
/// judge what became durable. One thread.
class NodeCluster final : public Servers, private CommitObserver {
 public:
  NodeCluster(Surroundings& around, Peers& peers, Flaw flaw);

  std::optional<checker::ProcessId> submit(pipeline::Request request) override;
  const ports::OrderReader* reader() override;

  void start() override;
  void start_misfortunes() override;
  void clear_up() override;
  bool at_rest() const override;
  const memory_store::MemoryDisk& disk() const override { return database_.disk(); }
  const ports::OrderReader& stored() const override { return database_.reader(); }
  domain::Instant wall() override { return database_.now().wall; }
  std::uint64_t crashes() const override;
  std::uint64_t commits() const override { return database_.commits(); }

 private:
  /// Whether a wake-up reaches one node of a stage (a queue) or all of them (a channel).
  enum class WakeUps : std::uint8_t { one, all };

  void before_commit(const NodeRun& from, std::span<const ports::Command> commands,
                     domain::Now now) override;
  void after_commit(std::span<const ports::CommandResult> results) override;
  void look_at(const checker::CommittedView& committed);
  void wake_stage(domain::Stage stage);
  void send_wake_up(NodeProcess& node);
  NodeProcess* any_front();
  void lose_some_nodes();
  bool others_can_do_without(const NodeProcess& node) const;
  void restart_database();
  void now_and_then(double times_a_second, std::function<void()> act);

  Surroundings& around_;
  RandomStream random_;
  RandomStream queues_;
  ProcessClock database_clock_;
  SharedDatabase database_;
  NodeCommons commons_;
  WakeUps wake_ups_ = WakeUps::one;
  std::vector<std::unique_ptr<NodeProcess>> nodes_;

  std::optional<StoreTap> tap_;
  NodeRun committing_;
  domain::Now committing_at_;
  std::unordered_map<domain::OrderId, domain::Version> told_;
  /// Through which node each order came.
  std::unordered_map<domain::OrderId, std::uint32_t> accepted_by_;
};

}  // namespace penstock::simulation
