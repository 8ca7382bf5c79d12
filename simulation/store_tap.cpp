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
  const TapListener& tell;
  checker::ProcessId process;
  domain::Instant asked_at;
  std::vector<std::pair<const domain::TenantId*, const domain::ProductId*>> touched = {};
  std::vector<domain::OrderId> shown = {};  ///< of which a commit was told

  /// Both are the store's, or the commands': they outlive the group.
  void touch(const domain::TenantId& tenant, const domain::ProductId& product) {
    const bool known = std::ranges::any_of(touched, [&](const auto& name) {
      return *name.first == tenant && *name.second == product;
    });
    if (!known) touched.emplace_back(&tenant, &product);
  }
  void commit(const domain::OrderId& id, bool moves_stock) {
    const auto found = source.disk.orders.find(id);
    if (found == source.disk.orders.end()) return;
    const domain::Order& order = found->second.order;
    domain::Version& known = told[id];
    // Two commits of one group show one record; what else shows no new version was written over one
    // that is not older, and the judge has to hear of it.
    if (order.version <= known && std::ranges::find(shown, id) != shown.end()) return;
    shown.push_back(id);
    around.trace.note("commit {} v{} {} {}", id, order.version.number, to_string(order.status),
                      to_string(order.reason));
    probe_commit(order, known, around);
    known = order.version;
    tell(checker::CommittedView{.order = order,
                                .receipt_bytes = found->second.receipt.size(),
                                .admitted_at = asked_at,
                                .process = process});
    if (!moves_stock) return;
    for (const domain::Item& item : order.items) touch(order.tenant, item.product);
  }
  void key(const domain::TenantId& tenant, const domain::IdempotencyKey& key, domain::Instant at) {
    const auto found = source.disk.idempotency.find({tenant, key});
    if (found == source.disk.idempotency.end()) return;
    tell(checker::KeyStored{
        .tenant = tenant, .key = key, .record = found->second, .decided_at = at});
  }
  void put(const ports::PutContract& put, ports::PutOutcome outcome) {
    if (outcome == ports::PutOutcome::stale) around.hit(Probe::stale_contract);
    if (outcome != ports::PutOutcome::stored) return;
    around.trace.note("contract of {} content {}", put.tenant.str(), content_of(put.contract));
    around.contracts_stored += 1;
    const auto& webhook = put.contract.webhook;
    const bool disabled = webhook && webhook->disabled;
    if (disabled) around.hit(Probe::webhook_disabled);
    tell(checker::ContractStored{put.tenant, put.contract.bucket, asked_at,
                                 content_of(put.contract), disabled ? endpoint_of(*webhook) : 0});
    if (webhook && !disabled) {
      tell(checker::Subscribed{put.tenant});
    } else {
      tell(checker::Unsubscribed{put.tenant});
    }
  }
  void end(domain::Instant wall) {
    for (const auto& [tenant, product] : touched) {
      const auto stock = source.reader.stock(*tenant, *product);
      if (stock && *stock) tell(checker::StockNow{*tenant, *product, **stock});
    }
    if (++around.groups_stored % kGroupsADepth == 0) {
      const ports::StoreDepth depth = source.depth();
      tell(checker::DepthsNow{depth.active, depth.open_dead_letters, depth.owed_refunds});
    }
    tell(checker::GroupEnded{wall});
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

void StoreTap::tell(const Taken& taken, const TapSource& source,
                    std::unordered_map<domain::OrderId, domain::Version>& told,
                    Surroundings& around, const TapListener& listener) const {
  const domain::Instant decided_at = taken.now.wall;
  Group group{.source = source,
              .told = told,
              .around = around,
              .tell = listener,
              .process = taken.process,
              .asked_at = asked_at_.value_or(around.timeline.now())};
  for (std::size_t index = 0; index < seen_.size(); ++index) {
    const Seen& seen = seen_[index];
    const ports::CommandResult& result = taken.results[index];
    if (const auto* accepted = std::get_if<Accepted>(&seen)) {
      const auto outcome = std::get<ports::AcceptResult>(result).outcome;
      if (outcome == ports::AcceptOutcome::full) around.hit(Probe::depth_bound);
      const bool from_key =
          outcome == ports::AcceptOutcome::replayed || outcome == ports::AcceptOutcome::key_reused;
      if (from_key) {
        listener(checker::KeyAnswered{accepted->tenant, *accepted->key, decided_at});
      }
      if (outcome != ports::AcceptOutcome::accepted) continue;
      group.commit(accepted->order, true);
      if (accepted->key) group.key(accepted->tenant, *accepted->key, decided_at);
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
      listener(checker::StockSet{set->tenant, set->product, set->on_hand, *stock});
    } else if (const auto* restock = std::get_if<ports::Restock>(&seen)) {
      const domain::Stock* const stock = stock_of(result);
      if (stock == nullptr) continue;
      group.touch(restock->tenant, restock->product);
      listener(checker::Restocked{restock->tenant, restock->product, restock->quantity, *stock});
    } else if (const auto* put = std::get_if<ports::PutContract>(&seen)) {
      group.put(*put, std::get<ports::PutOutcome>(result));
    }
  }
  group.end(decided_at);
}

}  // namespace penstock::simulation
