#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

/// Every rare branch that the seeds of a night must reach, once: in which worlds, its name, and
/// what happened. A run of the night in which one never fired is a failure, so a probe stands here
/// only if it is reachable. Appended at the end of its world's part.
/// X(enumerator, worlds, "name", "what happened")
#define PENSTOCK_PROBES(X)                                                                         \
  X(capture_after_unknown, both, "capture-after-unknown",                                          \
    "a charge without an answer turned out to be captured")                                        \
  X(refund_after_unknown, both, "refund-after-unknown",                                            \
    "a charge that once had no answer was refunded")                                               \
  X(close_of_charge_in_flight, both, "close-of-charge-in-flight",                                  \
    "a charge that had not answered was closed")                                                   \
  X(closed_before_late_charge, both, "closed-before-late-charge",                                  \
    "a charge arrived after its key was closed, and failed")                                       \
  X(close_found_capture, both, "close-found-capture", "a close found the charge captured")         \
  X(cancel_during_charge, both, "cancel-during-charge",                                            \
    "an order was cancelled while its charge was in flight")                                       \
  X(cancel_of_charged, both, "cancel-of-charged", "a charged order was cancelled")                 \
  X(cancel_of_dead_letter, both, "cancel-of-dead-letter", "a dead letter was cancelled")           \
  X(stale_commit, both, "stale-commit", "a commit found another version and was discarded")        \
  X(short_of_stock, both, "short-of-stock", "a reservation found an item short")                   \
  X(replayed, both, "replayed", "a repeated request got the first one's order")                    \
  X(replayed_after_crash, both, "replayed-after-crash",                                            \
    "a repeat after a crash found that its order had been stored")                                 \
  X(key_reused, both, "key-reused", "another request came under a used key")                       \
  X(same_key_other_tenant, both, "same-key-other-tenant",                                          \
    "two tenants used the same key, and each got its own order")                                   \
  X(denied, both, "denied", "a contract's bucket said no")                                         \
  X(depth_bound, both, "depth-bound", "an order was refused because too many are active")          \
  X(declined, both, "declined", "a charge was declined")                                           \
  X(zero_total, both, "zero-total", "an order of nothing to charge was fulfilled")                 \
  X(dead_letter, both, "dead-letter", "a stage gave an order up")                                  \
  X(dead_letter_expired, both, "dead-letter-expired", "nobody redrove a dead letter in time")      \
  X(redriven, both, "redriven", "a dead letter was sent through again")                            \
  X(fulfilled_after_redrive, both, "fulfilled-after-redrive", "a redriven order was fulfilled")    \
  X(discarded, both, "discarded", "a dead letter was given up by an operator")                     \
  X(charge_key_expired, both, "charge-key-expired",                                                \
    "a charge key outlived the gateway's memory and was replaced")                                 \
  X(refund_refused, both, "refund-refused", "a refund was refused and stayed owed")                \
  X(fulfillment_refused, both, "fulfillment-refused", "the fulfiller refused a charged order")     \
  X(fulfillment_unknown, both, "fulfillment-unknown", "the fulfiller gave no answer")              \
  X(answered_twice, both, "answered-twice", "a peer answered one request twice")                   \
  X(webhook_failed, both, "webhook-failed", "a delivery failed and was tried again")               \
  X(webhook_gone, both, "webhook-gone", "an endpoint answered 410 and was disabled")               \
  X(store_unavailable, both, "store-unavailable", "the store was away for a commit")               \
  X(wall_clock_back, both, "wall-clock-back", "a wall clock was set back")                         \
  X(wall_clock_forward, both, "wall-clock-forward", "a wall clock was set forward")                \
  X(webhook_disabled, both, "webhook-disabled", "an endpoint that is gone was disabled")           \
  X(stale_contract, both, "stale-contract",                                                        \
    "a webhook was to be disabled, and its contract was another by then")                          \
  X(key_ended, both, "key-ended", "a repeat at the end of its key's life got an order of its own") \
  X(poison_order, both, "poison-order", "a charge ended whoever sent it")                          \
  X(put_aside, both, "put-aside", "an order that ended its process too often was put aside")       \
  X(put_aside_captured, both, "put-aside-captured",                                                \
    "an order was put aside and its charge turned out captured")                                   \
  X(torn_batch, single, "torn-batch", "recovery found a torn batch and dropped it")                \
  X(lost_batch, single, "lost-batch", "the process ended before a batch was written")              \
  X(landed_batch, single, "landed-batch", "a batch was written and nobody heard of it")            \
  X(crash_in_mark, single, "crash-in-mark", "the process ended around a mark")                     \
  X(crash_in_submit, single, "crash-in-submit", "the process ended while it sent effects")         \
  X(crash_between_polls, single, "crash-between-polls", "the process ended between two cycles")    \
  X(failed_sync, single, "failed-sync", "a sync failed and the process ended")                     \
  X(full_disk, single, "full-disk", "the disk was full and the process ended")                     \
  X(machine_restart, single, "machine-restart", "the machine started again under a new boot id")   \
  X(clean_restart, single, "clean-restart", "the process drained, closed and started again")       \
  X(careful_start, single, "careful-start", "a start after three unclean ends marked its steps")   \
  X(interrupted_orders, single, "interrupted-orders", "a start found marked orders")               \
  X(late_effect_after_crash, single, "late-effect-after-crash",                                    \
    "a request acted after the process that sent it had ended")                                    \
  X(lease_takeover, distributed, "lease-takeover",                                                 \
    "an order whose lease ended was claimed by another node")                                      \
  X(zombie_commit, distributed, "zombie-commit",                                                   \
    "a worker that had lost its lease committed while another held the order")                     \
  X(zombie_fenced, distributed, "zombie-fenced",                                                   \
    "the commit of a worker that had lost its lease was stale")                                    \
  X(batch_takeover, distributed, "batch-takeover",                                                 \
    "a terminal batch whose lease ended was taken by another node")                                \
  X(late_batch_end, distributed, "late-batch-end",                                                 \
    "a node ended a terminal batch that it had lost")                                              \
  X(delivery_takeover, distributed, "delivery-takeover",                                           \
    "a delivery whose lease ended was taken by another node")                                      \
  X(unknown_commit_landed, distributed, "unknown-commit-landed",                                   \
    "the answer to a commit that was applied got lost")                                            \
  X(unknown_commit_lost, distributed, "unknown-commit-lost", "a commit got lost without a word")   \
  X(unknown_commit_late, distributed, "unknown-commit-late",                                       \
    "a commit was applied after its sender had given it up")                                       \
  X(claim_answer_lost, distributed, "claim-answer-lost",                                           \
    "orders were leased to a node that did not hear of it")                                        \
  X(replayed_across_nodes, distributed, "replayed-across-nodes",                                   \
    "a repeat through another node got the first one's order")                                     \
  X(double_wakeup, distributed, "double-wakeup", "a wake-up came twice")                           \
  X(lost_wakeup, distributed, "lost-wakeup", "a wake-up got lost")                                 \
  X(found_by_polling, distributed, "found-by-polling",                                             \
    "work without a wake-up was found by polling")                                                 \
  X(partitioned, distributed, "partitioned", "a node could not reach the database")                \
  X(node_paused, distributed, "node-paused", "a node stood still while its leases ran")            \
  X(node_lost, distributed, "node-lost", "a node died for good")                                   \
  X(node_restarted, distributed, "node-restarted", "a node crashed and started again")             \
  X(database_restarted, distributed, "database-restarted",                                         \
    "the database started again, with every connection cut")                                       \
  X(held_handed_out, distributed, "held-handed-out",                                               \
    "a node got orders that it had accepted without asking the database")                          \
  X(held_given_back, distributed, "held-given-back",                                               \
    "orders that a node held and did not want were given back")                                    \
  X(held_unheard, distributed, "held-unheard",                                                     \
    "a node gave back what a commit without an answer may have leased to it")                      \
  X(held_takeover, distributed, "held-takeover",                                                   \
    "an order whose accept had leased it was claimed by another node when the lease ended")        \
  X(held_too_long, distributed, "held-too-long",                                                   \
    "the commit of a node that had held its order past the lease was stale")                       \
  X(held_at_crash, distributed, "held-at-crash", "a process ended that held orders")               \
  X(batch_divided, distributed, "batch-divided", "a batch was divided over two connections")       \
  X(part_done_again, distributed, "part-done-again",                                               \
    "a part of which nothing was done was done again, for another was begun")                      \
  X(part_landed_alone, distributed, "part-landed-alone",                                           \
    "a part of a batch was done, and of another part nobody knows")

namespace penstock::simulation {

enum class World : std::uint8_t { single = 1, distributed = 2 };

/// Where a probe is expected to fire.
enum class ProbeWorlds : std::uint8_t { single = 1, distributed = 2, both = 3 };

enum class Probe : std::uint8_t {
#define X(name, worlds, text, meaning) name,
  PENSTOCK_PROBES(X)
#undef X
};

inline constexpr std::size_t kProbes = 0
#define X(name, worlds, text, meaning) +1
    PENSTOCK_PROBES(X)
#undef X
    ;

std::string_view to_string(Probe probe);
std::string_view meaning_of(Probe probe);
std::optional<Probe> parse_probe(std::string_view text);
bool belongs_to(Probe probe, World world);

/// How often each fired. Plain value; one thread.
class ProbeCounts {
 public:
  void hit(Probe probe) { counts_[static_cast<std::size_t>(probe)] += 1; }
  void add(Probe probe, std::uint64_t times) { counts_[static_cast<std::size_t>(probe)] += times; }
  std::uint64_t of(Probe probe) const { return counts_[static_cast<std::size_t>(probe)]; }
  void merge(const ProbeCounts& other) {
    for (std::size_t index = 0; index < kProbes; ++index) counts_[index] += other.counts_[index];
  }
  bool operator==(const ProbeCounts&) const = default;

 private:
  std::array<std::uint64_t, kProbes> counts_{};
};

}  // namespace penstock::simulation
