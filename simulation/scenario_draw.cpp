#include <cmath>
#include <string>

#include <fmt/format.h>

#include "simulation/random_stream.h"
#include "simulation/scenario.h"

namespace penstock::simulation {
namespace {

/// Draws features: each is in the run or not, and at a rate of its own.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : stream_(seed, "scenario") {}

  bool in(double probability = 0.5) { return stream_.chance(probability); }

  /// Between `low` and `high` on a logarithmic scale, so that rare and frequent are equally likely;
  /// three digits, which print short.
  double amount(double low, double high) {
    const double share = static_cast<double>(stream_.below(1'001)) / 1'000;
    const double value = low * std::pow(high / low, share);
    const double unit = std::pow(10, std::floor(std::log10(value)) - 2);
    return std::min(high, std::round(value / unit) * unit);
  }

  void maybe(double& field, double low, double high, double probability = 0.35) {
    field = in(probability) ? amount(low, high) : 0;
  }

  RandomStream& stream() { return stream_; }

 private:
  RandomStream stream_;
};

void draw_workload(Draw& draw, Workload& w) {
  w.orders = draw.stream().between(60, 160);
  w.rate = draw.amount(100, 3'000);
  if (draw.in(0.3)) w.burst = draw.stream().between(2, 60);
  if (draw.in(0.4)) w.closed_clients = draw.stream().between(1, 12);
  w.think_ms = draw.amount(0.5, 50);
  w.tenants = draw.stream().between(1, 5);
  w.products = draw.stream().between(1, 6);
  w.stock = draw.in(0.4) ? draw.stream().between(0, 60) : 100'000;
  draw.maybe(w.hot_product, 0.2, 1);
  draw.maybe(w.flooder, 0.3, 0.95);
  draw.maybe(w.limited_tenants, 0.3, 1);
  w.contract_rate = draw.amount(0.5, 200);
  w.contract_burst = draw.stream().between(1, 40);
  w.keyed = draw.in(0.8) ? draw.amount(0.5, 1) : 0;
  draw.maybe(w.same_key, 0.05, 0.8);
  draw.maybe(w.reused_key, 0.02, 0.3);
  draw.maybe(w.other_tenant_key, 0.02, 0.3);
  draw.maybe(w.repeated, 0.02, 0.5, 0.5);
  draw.maybe(w.cancels, 0.02, 0.8, 0.6);
  w.cancel_within_ms = draw.amount(1, 2'000);
  w.reads = draw.in(0.5) ? draw.amount(0.05, 0.6) : 0;
  w.zero_total = draw.in(0.5) ? 0.05 : 0;
  draw.maybe(w.redrives, 0.5, 20, 0.4);
  draw.maybe(w.discards, 0.5, 10, 0.25);
  draw.maybe(w.restocks, 0.5, 50, 0.3);
  draw.maybe(w.stock_sets, 0.5, 20, 0.2);
  draw.maybe(w.contract_changes, 0.5, 20, 0.2);
}

void draw_peers(Draw& draw, Scenario& s) {
  GatewayFaults& g = s.gateway;
  draw.maybe(g.decline, 0.02, 0.5, 0.5);
  draw.maybe(g.transient, 0.01, 0.6);
  draw.maybe(g.permanent, 0.005, 0.2);
  draw.maybe(g.refuse_refund, 0.05, 0.8, 0.25);
  draw.maybe(g.drop_reply, 0.01, 0.5);
  draw.maybe(g.lose_request, 0.01, 0.5);
  draw.maybe(g.act_late, 0.01, 0.5);
  draw.maybe(g.answer_late, 0.01, 0.3);
  draw.maybe(g.answer_twice, 0.01, 0.3);
  draw.maybe(g.unavailable, 0.005, 0.3, 0.25);
  draw.maybe(g.outages, 0.1, 2, 0.2);
  g.outage_ms = draw.amount(10, 3'000);
  g.latency_ms = draw.amount(0.1, 200);
  g.late_ms = draw.amount(50, 20'000);
  FulfillerFaults& f = s.fulfiller;
  f.hook = draw.in(0.4);
  draw.maybe(f.refuse, 0.01, 0.3);
  draw.maybe(f.transient, 0.01, 0.5);
  draw.maybe(f.permanent, 0.005, 0.2, 0.25);
  draw.maybe(f.drop_reply, 0.01, 0.4);
  draw.maybe(f.lose_request, 0.01, 0.4);
  draw.maybe(f.act_late, 0.01, 0.4);
  draw.maybe(f.unavailable, 0.005, 0.2, 0.2);
  f.latency_ms = draw.amount(0.1, 200);
  f.late_ms = draw.amount(50, 20'000);
  NotificationFaults& n = s.notification;
  n.webhooks = draw.in(0.6) ? draw.amount(0.2, 1) : 0;
  draw.maybe(n.fail, 0.02, 0.6);
  draw.maybe(n.gone, 0.002, 0.05, 0.2);
  draw.maybe(n.lose_reply, 0.02, 0.4);
  n.receipts = draw.in(0.6);
  draw.maybe(n.copy_fails, 0.02, 0.6);
}

void draw_process(Draw& draw, Scenario& s) {
  draw.maybe(s.store.unavailable, 0.005, 0.2, 0.25);
  draw.maybe(s.store.stall, 0.005, 0.1, 0.25);
  s.store.stall_ms = draw.amount(5, 2'000);
  draw.maybe(s.store.failed_sync, 0.001, 0.03, 0.25);
  draw.maybe(s.store.full_disk, 0.001, 0.02, 0.15);
  if (draw.in(0.15)) s.store.max_active = draw.stream().between(2, 40);
  CrashFaults& c = s.crash;
  if (draw.in(0.7)) {
    draw.maybe(c.before_commit, 0.002, 0.1);
    draw.maybe(c.torn, 0.002, 0.1);
    draw.maybe(c.after_commit, 0.002, 0.1);
    draw.maybe(c.in_mark, 0.005, 0.3);
    draw.maybe(c.in_submit, 0.002, 0.1);
    draw.maybe(c.between_polls, 0.2, 10);
    draw.maybe(c.machine, 0.1, 1, 0.3);
  }
  draw.maybe(c.clean, 0.1, 3, 0.2);
  c.downtime_ms = draw.amount(1, 5'000);
  draw.maybe(s.clock.jumps, 0.1, 5, 0.3);
  s.clock.jump_seconds = draw.amount(0.01, 3'600);
}

void draw_cluster(Draw& draw, ClusterFaults& k) {
  k.nodes = draw.stream().between(1, 4);
  k.workers = draw.stream().between(1, 3);
  draw.maybe(k.lose_request, 0.002, 0.1);
  draw.maybe(k.lose_reply, 0.002, 0.1);
  draw.maybe(k.delay, 0.01, 0.3);
  k.delay_ms = draw.amount(1, 10'000);
  draw.maybe(k.partitions, 0.1, 2);
  k.partition_ms = draw.amount(50, 20'000);
  draw.maybe(k.slow_node, 0.2, 1, 0.25);
  draw.maybe(k.node_crashes, 0.1, 5);
  draw.maybe(k.clock_skew_ms, 1, 2'000);
  draw.maybe(k.lose_wakeup, 0.05, 1);
  draw.maybe(k.double_wakeup, 0.05, 0.8);
  draw.maybe(k.delay_wakeup, 0.05, 0.8);
  k.lease_seconds = draw.amount(0.2, 30);
  draw.maybe(k.pauses, 0.1, 5);
  k.pause_ms = draw.amount(10, 20'000);
  draw.maybe(k.lost_nodes, 0.1, 1, 0.25);
  draw.maybe(k.database_restarts, 0.05, 2, 0.25);
  k.database_down_ms = draw.amount(1, 3'000);
}

void draw_policy(Draw& draw, Policy& p) {
  p.backoff_base_ms = draw.amount(5, 1'000);
  p.backoff_cap_ms = draw.amount(1'000, 60'000);
  if (draw.in(0.25)) p.gateway_key_retention_seconds = draw.amount(0.2, 60);
  p.dead_letter_hold_seconds = draw.in(0.8) ? draw.amount(0.5, 600) : 86'400;
  if (draw.in(0.2)) p.max_batch = draw.stream().between(1, 16);
}

/// Behind all others, so that what they draw stays.
void draw_rare_company(Draw& draw, Scenario& s) {
  if (draw.in(0.15)) {
    s.policy.idempotency_retention_seconds = draw.amount(0.5, 30);
    s.workload.repeated_at_end = draw.amount(0.05, 1);
  }
  draw.maybe(s.crash.poison, 0.005, 0.05, 0.12);
  if (draw.in(0.15)) {
    s.notification.webhooks = 1;
    s.notification.gone = draw.amount(0.05, 0.6);
    s.workload.contract_changes = draw.amount(5, 50);
    if (draw.in(0.5)) s.policy.max_batch = draw.stream().between(1, 3);
  }
}

/// The same. Nodes see batches of few commands: these divide many of them.
void draw_writing(Draw& draw, ClusterFaults& k) {
  k.holding = draw.in(0.75);
  k.least_split_batch = draw.in(0.75) ? draw.stream().between(2, 32) : 0;
}

}  // namespace

Scenario Scenario::drawn(std::uint64_t seed, World world) {
  Draw draw(seed);
  Scenario scenario;
  scenario.name = fmt::format("drawn-{}", seed);
  draw_workload(draw, scenario.workload);
  draw_peers(draw, scenario);
  draw_process(draw, scenario);
  if (world == World::distributed) draw_cluster(draw, scenario.cluster);
  draw_policy(draw, scenario.policy);
  draw_rare_company(draw, scenario);
  if (world == World::distributed) draw_writing(draw, scenario.cluster);
  return scenario;
}

}  // namespace penstock::simulation
