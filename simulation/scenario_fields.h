#pragma once

#include <cstdint>
#include <limits>

#include "simulation/scenario.h"

/// Every field of a scenario, once: what reading, printing, checking and comparing go through.
namespace penstock::simulation {

/// What a number may be.
struct Range {
  double low = 0;
  double high = 1;
};

inline constexpr Range kShare{0, 1};
inline constexpr Range kRate{0, 100'000};
inline constexpr Range kTimesASecond{0, 1'000};
inline constexpr Range kMilliseconds{0, 3'600'000};
inline constexpr Range kSeconds{0.001, 31'536'000};

/// Calls visit(section, name, value, range) for every field of `s` but its name.
template <typename AnyScenario, typename Visit>
void for_each_workload_field(AnyScenario& s, Visit visit) {
  auto& w = s.workload;
  const char* const in = "workload";
  visit(in, "orders", w.orders, Range{1, 100'000'000});
  visit(in, "rate", w.rate, kRate);
  visit(in, "burst", w.burst, Range{1, 10'000});
  visit(in, "closed_clients", w.closed_clients, Range{0, 1'000});
  visit(in, "think_ms", w.think_ms, kMilliseconds);
  visit(in, "tenants", w.tenants, Range{1, 1'000});
  visit(in, "products", w.products, Range{1, 1'000});
  visit(in, "stock", w.stock, Range{0, 1'000'000'000});
  visit(in, "hot_product", w.hot_product, kShare);
  visit(in, "flooder", w.flooder, kShare);
  visit(in, "limited_tenants", w.limited_tenants, kShare);
  visit(in, "contract_rate", w.contract_rate, Range{0.001, 1'000'000});
  visit(in, "contract_burst", w.contract_burst, Range{1, 1'000'000});
  visit(in, "keyed", w.keyed, kShare);
  visit(in, "same_key", w.same_key, kShare);
  visit(in, "reused_key", w.reused_key, kShare);
  visit(in, "other_tenant_key", w.other_tenant_key, kShare);
  visit(in, "repeated", w.repeated, kShare);
  visit(in, "repeated_at_end", w.repeated_at_end, kShare);
  visit(in, "cancels", w.cancels, kShare);
  visit(in, "cancel_within_ms", w.cancel_within_ms, kMilliseconds);
  visit(in, "reads", w.reads, kShare);
  visit(in, "zero_total", w.zero_total, kShare);
  visit(in, "redrives", w.redrives, kTimesASecond);
  visit(in, "discards", w.discards, kTimesASecond);
  visit(in, "restocks", w.restocks, kTimesASecond);
  visit(in, "stock_sets", w.stock_sets, kTimesASecond);
  visit(in, "contract_changes", w.contract_changes, kTimesASecond);
}

template <typename AnyScenario, typename Visit>
void for_each_peer_field(AnyScenario& s, Visit visit) {
  auto& g = s.gateway;
  visit("gateway", "decline", g.decline, kShare);
  visit("gateway", "transient", g.transient, kShare);
  visit("gateway", "permanent", g.permanent, kShare);
  visit("gateway", "refuse_refund", g.refuse_refund, kShare);
  visit("gateway", "drop_reply", g.drop_reply, kShare);
  visit("gateway", "lose_request", g.lose_request, kShare);
  visit("gateway", "act_late", g.act_late, kShare);
  visit("gateway", "answer_late", g.answer_late, kShare);
  visit("gateway", "answer_twice", g.answer_twice, kShare);
  visit("gateway", "unavailable", g.unavailable, kShare);
  visit("gateway", "outages", g.outages, kTimesASecond);
  visit("gateway", "outage_ms", g.outage_ms, kMilliseconds);
  visit("gateway", "latency_ms", g.latency_ms, kMilliseconds);
  visit("gateway", "late_ms", g.late_ms, kMilliseconds);
  auto& f = s.fulfiller;
  visit("fulfiller", "hook", f.hook, kShare);
  visit("fulfiller", "refuse", f.refuse, kShare);
  visit("fulfiller", "transient", f.transient, kShare);
  visit("fulfiller", "permanent", f.permanent, kShare);
  visit("fulfiller", "drop_reply", f.drop_reply, kShare);
  visit("fulfiller", "lose_request", f.lose_request, kShare);
  visit("fulfiller", "act_late", f.act_late, kShare);
  visit("fulfiller", "unavailable", f.unavailable, kShare);
  visit("fulfiller", "latency_ms", f.latency_ms, kMilliseconds);
  visit("fulfiller", "late_ms", f.late_ms, kMilliseconds);
  auto& n = s.notification;
  visit("notification", "webhooks", n.webhooks, kShare);
  visit("notification", "fail", n.fail, kShare);
  visit("notification", "gone", n.gone, kShare);
  visit("notification", "lose_reply", n.lose_reply, kShare);
  visit("notification", "latency_ms", n.latency_ms, kMilliseconds);
  visit("notification", "receipts", n.receipts, kShare);
  visit("notification", "copy_fails", n.copy_fails, kShare);
}

template <typename AnyScenario, typename Visit>
void for_each_process_field(AnyScenario& s, Visit visit) {
  visit("store", "unavailable", s.store.unavailable, kShare);
  visit("store", "stall", s.store.stall, kShare);
  visit("store", "stall_ms", s.store.stall_ms, kMilliseconds);
  visit("store", "failed_sync", s.store.failed_sync, kShare);
  visit("store", "full_disk", s.store.full_disk, kShare);
  visit("store", "max_active", s.store.max_active, Range{1, 1'000'000'000});
  auto& c = s.crash;
  visit("crash", "before_commit", c.before_commit, kShare);
  visit("crash", "torn", c.torn, kShare);
  visit("crash", "after_commit", c.after_commit, kShare);
  visit("crash", "in_mark", c.in_mark, kShare);
  visit("crash", "in_submit", c.in_submit, kShare);
  visit("crash", "poison", c.poison, kShare);
  visit("crash", "between_polls", c.between_polls, kTimesASecond);
  visit("crash", "clean", c.clean, kTimesASecond);
  visit("crash", "machine", c.machine, kShare);
  visit("crash", "downtime_ms", c.downtime_ms, kMilliseconds);
  visit("clock", "jumps", s.clock.jumps, kTimesASecond);
  visit("clock", "jump_seconds", s.clock.jump_seconds, kSeconds);
}

template <typename AnyScenario, typename Visit>
void for_each_cluster_field(AnyScenario& s, Visit visit) {
  auto& k = s.cluster;
  visit("cluster", "nodes", k.nodes, Range{1, 16});
  visit("cluster", "workers", k.workers, Range{1, 16});
  visit("cluster", "lose_request", k.lose_request, kShare);
  visit("cluster", "lose_reply", k.lose_reply, kShare);
  visit("cluster", "delay", k.delay, kShare);
  visit("cluster", "delay_ms", k.delay_ms, kMilliseconds);
  visit("cluster", "partitions", k.partitions, kTimesASecond);
  visit("cluster", "partition_ms", k.partition_ms, kMilliseconds);
  visit("cluster", "slow_node", k.slow_node, kShare);
  visit("cluster", "node_crashes", k.node_crashes, kTimesASecond);
  visit("cluster", "clock_skew_ms", k.clock_skew_ms, kMilliseconds);
  visit("cluster", "lose_wakeup", k.lose_wakeup, kShare);
  visit("cluster", "double_wakeup", k.double_wakeup, kShare);
  visit("cluster", "delay_wakeup", k.delay_wakeup, kShare);
  visit("cluster", "lease_seconds", k.lease_seconds, kSeconds);
  visit("cluster", "pauses", k.pauses, kTimesASecond);
  visit("cluster", "pause_ms", k.pause_ms, kMilliseconds);
  visit("cluster", "lost_nodes", k.lost_nodes, kShare);
  visit("cluster", "database_restarts", k.database_restarts, kTimesASecond);
  visit("cluster", "database_down_ms", k.database_down_ms, kMilliseconds);
  visit("cluster", "holding", k.holding, kShare);
  visit("cluster", "least_split_batch", k.least_split_batch, Range{0, 4'096});
}

template <typename AnyScenario, typename Visit>
void for_each_field(AnyScenario& s, Visit visit) {
  for_each_workload_field(s, visit);
  for_each_peer_field(s, visit);
  for_each_process_field(s, visit);
  for_each_cluster_field(s, visit);
  auto& p = s.policy;
  visit("policy", "max_attempts", p.max_attempts, Range{1, 10});
  visit("policy", "backoff_base_ms", p.backoff_base_ms, kMilliseconds);
  visit("policy", "backoff_cap_ms", p.backoff_cap_ms, kMilliseconds);
  visit("policy", "gateway_key_retention_seconds", p.gateway_key_retention_seconds, kSeconds);
  visit("policy", "dead_letter_hold_seconds", p.dead_letter_hold_seconds, kSeconds);
  visit("policy", "idempotency_retention_seconds", p.idempotency_retention_seconds, kSeconds);
  visit("policy", "max_batch", p.max_batch, Range{1, 4'096});
  visit("bounds", "settle_hours", s.bounds.settle_hours, Range{0.01, 10'000});
  visit("bounds", "max_steps", s.bounds.max_steps, Range{1'000, 1e12});
}

}  // namespace penstock::simulation
