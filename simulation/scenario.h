#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "simulation/probe.h"

/// What happens in one simulated run, besides the seed: a workload, faults, and bounds. Composed
/// from small TOML files or drawn from a seed; every field is printed with a failure, so that the
/// printed scenario and the seed make the same run again.
namespace penstock::simulation {

/// What the clients do. Shares are 0..1; rates are per virtual second.
struct Workload {
  std::int64_t orders = 100;        ///< new orders that clients send, repeats not counted
  double rate = 200;                ///< of new orders, open loop; 0: closed loop only
  std::int64_t burst = 1;           ///< orders that arrive at once
  std::int64_t closed_clients = 0;  ///< clients that wait for each answer before the next order
  double think_ms = 5;              ///< of a closed-loop client, at most
  std::int64_t tenants = 3;
  std::int64_t products = 4;   ///< of each tenant
  std::int64_t stock = 1'000;  ///< pieces of each product at the beginning
  double hot_product = 0;      ///< share of orders for the first product
  double flooder = 0;          ///< share of orders that are the first tenant's
  double limited_tenants = 0;  ///< share of tenants with a tight contract
  double contract_rate = 20;   ///< tokens a second of a tight contract
  std::int64_t contract_burst = 10;
  double keyed = 0.9;           ///< share of orders with an idempotency key
  double same_key = 0;          ///< share of keyed orders that two clients send at once
  double reused_key = 0;        ///< share of keyed orders whose key comes again with other content
  double other_tenant_key = 0;  ///< share of keyed orders whose key another tenant uses too
  double repeated = 0.05;       ///< share of keyed orders that are sent again after their answer
  /// Share of keyed orders that are sent again to the microsecond at which their key ends; only
  /// where keys live for a minute at most.
  double repeated_at_end = 0;
  double cancels = 0.05;  ///< share of orders that are cancelled
  double cancel_within_ms = 100;
  double reads = 0.2;  ///< share of orders that are read back, several times
  double zero_total = 0.03;
  double redrives = 0;  ///< a second
  double discards = 0;
  double restocks = 0;
  double stock_sets = 0;
  double contract_changes = 0;
};

/// Of requests to the payment gateway, each by its own draw.
struct GatewayFaults {
  double decline = 0.05;
  double transient = 0;
  double permanent = 0;
  double refuse_refund = 0;
  double drop_reply = 0;    ///< acts; the answer is lost
  double lose_request = 0;  ///< never arrives; no answer
  double act_late = 0;      ///< no answer in time; acts up to `late_ms` later, unless closed
  double answer_late = 0;   ///< acts; the answer takes up to `late_ms`
  double answer_twice = 0;
  double unavailable = 0;  ///< certainly never sent
  double outages = 0;      ///< a second; all requests are unavailable meanwhile
  double outage_ms = 500;
  double latency_ms = 5;
  double late_ms = 5'000;
};

/// Of requests to the fulfiller; without `hook` every order is accepted inside the pipeline.
struct FulfillerFaults {
  bool hook = false;
  double refuse = 0;
  double transient = 0;
  double permanent = 0;
  double drop_reply = 0;
  double lose_request = 0;
  double act_late = 0;
  double unavailable = 0;
  double latency_ms = 5;
  double late_ms = 5'000;
};

/// Of what follows a terminal state.
struct NotificationFaults {
  double webhooks = 0.5;  ///< share of tenants that have one
  double fail = 0;
  double gone = 0;
  double lose_reply = 0;  ///< delivered, but it counts as failed
  double latency_ms = 20;
  bool receipts = true;  ///< copies are made
  double copy_fails = 0;
};

/// Of calls to the embedded store that write.
struct StoreFaults {
  double unavailable = 0;
  double stall = 0;
  double stall_ms = 300;
  double failed_sync = 0;  ///< the store stops; the batch is lost or landed
  double full_disk = 0;
  std::int64_t max_active = 1'000'000;
};

/// Ends of the process. Shares are of calls; rates are per virtual second.
struct CrashFaults {
  double before_commit = 0;  ///< the batch is lost
  double torn = 0;           ///< the batch is written in part, and dropped by the next start
  double after_commit = 0;   ///< the batch landed and nobody heard
  double in_mark = 0;
  double in_submit = 0;  ///< while effects are sent
  double poison = 0;     ///< share of orders whose charge ends whoever sends it
  double between_polls = 0;
  double clean = 0;    ///< drains, closes, starts again
  double machine = 0;  ///< share of unclean ends that are the machine's
  double downtime_ms = 200;
};

struct ClockFaults {
  double jumps = 0;  ///< a second
  double jump_seconds = 30;
};

/// Between the nodes of the distributed world, their store and their queues.
struct ClusterFaults {
  std::int64_t nodes = 3;
  std::int64_t workers = 2;  ///< processes of each split stage
  double lose_request = 0;   ///< to the store: unavailable
  double lose_reply = 0;     ///< from the store: applied, unknown outcome
  double delay = 0;
  double delay_ms = 200;
  double partitions = 0;  ///< a second
  double partition_ms = 2'000;
  double slow_node = 0;  ///< share of nodes
  double node_crashes = 0;
  double clock_skew_ms = 0;
  double lose_wakeup = 0;
  double double_wakeup = 0;
  double delay_wakeup = 0;
  double lease_seconds = 5;
  double pauses = 0;  ///< a second: a node stands still, and goes on as if nothing had been
  double pause_ms = 3'000;
  double lost_nodes = 0;         ///< share of the nodes that others can do without
  double database_restarts = 0;  ///< a second; every connection is cut
  double database_down_ms = 200;
  bool holding = true;  ///< nodes hold what they accept
  /// Batches of so many commands are divided over a node's two connections; 0: it has one.
  std::int64_t least_split_batch = 256;
};

/// The pipeline's own options, shortened so that holds and retentions end within a run.
struct Policy {
  std::int64_t max_attempts = 3;
  double backoff_base_ms = 200;
  double backoff_cap_ms = 5'000;
  double gateway_key_retention_seconds = 86'400;
  double dead_letter_hold_seconds = 600;
  double idempotency_retention_seconds = 604'800;
  std::int64_t max_batch = 4'096;
};

/// What bounds a run.
struct Bounds {
  double settle_hours = 96;            ///< virtual time until rest, once faults stopped
  std::int64_t max_steps = 5'000'000;  ///< of the timeline in the whole run
};

struct Scenario {
  std::string name = "default";
  Workload workload;
  GatewayFaults gateway;
  FulfillerFaults fulfiller;
  NotificationFaults notification;
  StoreFaults store;
  CrashFaults crash;
  ClockFaults clock;
  ClusterFaults cluster;
  Policy policy;
  Bounds bounds;

  /// A random subset of workload features and faults at random rates (swarm testing: Groce et al.,
  /// ISSTA 2012): leaving a fault out reaches what having all of them hides.
  static Scenario drawn(std::uint64_t seed, World world);
};

/// Reads a scenario. What a file leaves out keeps its default; `include = ["other.toml"]` composes:
/// the named files, relative to this one, are read first. The error names file and field.
std::expected<Scenario, std::string> read_scenario(const std::string& path);

/// Reads a scenario from text that includes nothing.
std::expected<Scenario, std::string> parse_scenario(std::string_view text);

/// Every field as TOML; reads back as the same scenario.
std::string to_toml(const Scenario& scenario);

/// What is impossible in `scenario` (a share above 1, no tenants); empty if it can be run.
std::string first_mistake(const Scenario& scenario);

}  // namespace penstock::simulation
