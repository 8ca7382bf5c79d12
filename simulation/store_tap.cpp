#include "simulation/store_tap.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace penstock::simulation {
namespace {

using domain::Event;
using domain::Order;
using domain::Reason;
using domain::Status;

/// The store's own counts are held against its commits once in so many groups: they are sums over
/// tenants and stages.
constexpr std::uint64_t kGroupsADepth = 8;

/// The probes that one new event of an order shows.
void probe_event(const Order& order, const Event& event, Surroundings& around) {
  switch (event.reason) {
    case Reason::insufficient_stock:
      return around.hit(Probe::short_of_stock);
    case Reason::dead_letter_expired:
      return around.hit(Probe::dead_letter_expired);
    case Reason::redriven:
      return around.hit(Probe::redriven);
    case Reason::discarded:
      return around.hit(Probe::discarded);
    case Reason::interrupted:
      return around.hit(event.to == Status::cancelling ? Probe::put_aside_captured
                                                       : Probe::put_aside);
    case Reason::charge_key_expired:
      return around.hit(Probe::charge_key_expired);
    case Reason::cancelled_by_request:
      if (order.dead_letter) return around.hit(Probe::cancel_of_dead_letter);
      if (event.from == Status::charged) return around.hit(Probe::cancel_of_charged);
      if (event.from == Status::reserved) return around.hit(Probe::cancel_during_charge);
      return;
    default:
      break;
  }
  if (event.to == Status::fulfilled && order.redrives > 0) {
    around.hit(Probe::fulfilled_after_redrive);
  }
  if (event.to == Status::fulfilled && order.total.minor_units == 0) around.hit(Probe::zero_total);
}

void probe_commit(const Order& order, domain::Version from, Surroundings& around) {
  for (std::size_t index = from.number; index < order.timeline.size(); ++index) {
    probe_event(order, order.timeline[index], around);
  }
  const bool is_new_dead_letter =
      is_open_dead_letter(order) && order.dead_letter->at == order.updated_at;
  if (is_new_dead_letter) around.hit(Probe::dead_letter);
}

/// One group on its way to the judge.
struct Group {
  const TapSource& source;
  std::unordered_map<domain::OrderId, domain::Version>& told;
  Surroundings& around;
  checker::ProcessId process;
  domain::Instant asked_at;
  std::vector<checker::Occurrence> occurrences;
  std::vector<std::pair<domain::TenantId, domain::ProductId>> touched;

  void touch(const domain::TenantId& tenant, const domain::ProductId& product) {
    std::pair name(tenant, product);
    if (std::ranges::find(touched, name) == touched.end()) touched.push_back(std::move(name));
  }
  void commit(const domain::OrderId& id, bool moves_stock) {
    const ports::StoredOrder* const stored = source.order(id);
    if (stored == nullptr) return;
    domain::Version& known = told[id];
    if (stored->order.version <= known) return;
    around.trace.note("commit {} v{} {} {}", id.str(), stored->order.version.number,
                      to_string(stored->order.status), to_string(stored->order.reason));
    probe_commit(stored->order, known, around);
    known = stored->order.version;
    occurrences.push_back(checker::Committed{.order = stored->order,
                                             .receipt_bytes = stored->receipt.size(),
                                             .admitted_at = asked_at,
                                             .process = process});
    if (!moves_stock) return;
    for (const domain::Item& item : stored->order.items) touch(stored->order.tenant, item.product);
  }
  void put(const ports::PutContract& put, ports::PutOutcome outcome) {
    if (outcome == ports::PutOutcome::stale) around.hit(Probe::stale_contract);
    if (outcome != ports::PutOutcome::stored) return;
    around.contracts_stored += 1;
    const auto& webhook = put.contract.webhook;
    const bool disabled = webhook && webhook->disabled;
    if (disabled) around.hit(Probe::webhook_disabled);
    occurrences.push_back(checker::ContractStored{put.tenant, put.contract.bucket, asked_at,
                                                  content_of(put.contract),
                                                  disabled ? endpoint_of(*webhook) : 0});
    if (webhook && !disabled) {
      occurrences.push_back(checker::Subscribed{put.tenant});
    } else {
      occurrences.push_back(checker::Unsubscribed{put.tenant});
    }
  }
};

const domain::Stock* stock_of(const ports::CommandResult& result) {
  const auto& answer = std::get<ports::StockResult>(result);
  return answer.stock ? &*answer.stock : nullptr;
}

}  // namespace

StoreTap::StoreTap(std::span<const ports::Command> commands,
                   std::optional<domain::Instant> asked_at)
    : asked_at_(asked_at) {
  seen_.reserve(commands.size());
  for (const ports::Command& command : commands) {
    if (const auto* accept = std::get_if<ports::Accept>(&command)) {
      Accepted seen{.order = accept->commit.next.id,
                    .tenant = accept->commit.next.tenant,
                    .key = std::nullopt};
      if (accept->idempotency) seen.key = accept->idempotency->key;
      seen_.emplace_back(std::move(seen));
    } else if (const auto* commit = std::get_if<ports::Commit>(&command)) {
      seen_.emplace_back(Committed{.order = commit->next.id,
                                   .moves_stock = commit->stock != domain::StockMove::none});
    } else if (const auto* set = std::get_if<ports::SetStock>(&command)) {
      seen_.emplace_back(*set);
    } else if (const auto* restock = std::get_if<ports::Restock>(&command)) {
      seen_.emplace_back(*restock);
    } else if (const auto* put = std::get_if<ports::PutContract>(&command)) {
      seen_.emplace_back(*put);
    } else {
      seen_.emplace_back();
    }
  }
}

std::vector<checker::Occurrence> StoreTap::taken(
    std::span<const ports::CommandResult> results, domain::Now now, checker::ProcessId process,
    const TapSource& source, std::unordered_map<domain::OrderId, domain::Version>& told,
    Surroundings& around) const {
  Group group{source, told, around, process, asked_at_.value_or(around.timeline.now()), {}, {}};
  // A commit, a key, its stock, and the end: growing means to move all that is there.
  group.occurrences.reserve(seen_.size() * 4 + 2);
  for (std::size_t index = 0; index < seen_.size(); ++index) {
    const Seen& seen = seen_[index];
    const ports::CommandResult& result = results[index];
    if (const auto* accepted = std::get_if<Accepted>(&seen)) {
      const auto& answer = std::get<ports::AcceptResult>(result);
      if (answer.outcome == ports::AcceptOutcome::full) around.hit(Probe::depth_bound);
      const bool from_key = answer.outcome == ports::AcceptOutcome::replayed ||
                            answer.outcome == ports::AcceptOutcome::key_reused;
      if (from_key) {
        group.occurrences.push_back(
            checker::KeyAnswered{accepted->tenant, *accepted->key, now.wall});
      }
      if (answer.outcome != ports::AcceptOutcome::accepted) continue;
      group.commit(accepted->order, true);
      if (!accepted->key) continue;
      const auto* record = source.key(answer.order->tenant, *accepted->key);
      if (record == nullptr) continue;
      group.occurrences.push_back(checker::KeyStored{.tenant = answer.order->tenant,
                                                     .key = *accepted->key,
                                                     .record = *record,
                                                     .decided_at = now.wall});
    } else if (const auto* committed = std::get_if<Committed>(&seen)) {
      const auto outcome = std::get<ports::CommitResult>(result).outcome;
      if (outcome == ports::CommitOutcome::stale) around.hit(Probe::stale_commit);
      const bool landed = outcome == ports::CommitOutcome::committed ||
                          outcome == ports::CommitOutcome::short_of_stock;
      if (landed) group.commit(committed->order, committed->moves_stock);
    } else if (const auto* set = std::get_if<ports::SetStock>(&seen)) {
      const domain::Stock* const stock = stock_of(result);
      if (stock == nullptr) continue;
      group.touch(set->tenant, set->product);
      group.occurrences.push_back(
          checker::StockSet{set->tenant, set->product, set->on_hand, *stock});
    } else if (const auto* restock = std::get_if<ports::Restock>(&seen)) {
      const domain::Stock* const stock = stock_of(result);
      if (stock == nullptr) continue;
      group.touch(restock->tenant, restock->product);
      group.occurrences.push_back(
          checker::Restocked{restock->tenant, restock->product, restock->quantity, *stock});
    } else if (const auto* put = std::get_if<ports::PutContract>(&seen)) {
      group.put(*put, std::get<ports::PutOutcome>(result));
    }
  }
  for (const auto& [tenant, product] : group.touched) {
    if (const auto stock = source.stock(tenant, product)) {
      group.occurrences.push_back(checker::StockNow{tenant, product, *stock});
    }
  }
  if (++around.groups_stored % kGroupsADepth == 0) {
    const ports::StoreDepth depth = source.depth();
    group.occurrences.push_back(
        checker::DepthsNow{depth.active, depth.open_dead_letters, depth.owed_refunds});
  }
  group.occurrences.push_back(checker::GroupEnded{now.wall});
  return std::move(group.occurrences);
}

}  // namespace penstock::simulation
