// What the store, the gateway, receivers of webhooks and processes add to a history.
#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "checker/attempt_rules.h"
#include "checker/commit_rules.h"
#include "checker/digest.h"
#include "checker/history_judge.h"

namespace penstock::checker {

using domain::Status;

// --- The store -----------------------------------------------------------------------------------

void History::Judge::on(const CommittedView& event) {
  const domain::Order& record = event.order;
  OrderState& order = orders_[record.id];
  bool const first = order.stored == 0;
  std::optional<Status> const before = first ? std::nullopt : std::optional(order.status);
  domain::Charge const charge = order.charge;
  TenantNumber const tenant = number_of(record.tenant);
  if (failed_.contains(event.process.number)) {
    report_.add(Invariant::silent_after_failed_sync, record.id.str(),
                "it was committed after a sync had failed, by the same process");
  }
  if (!first) count(order, -1);
  follow_commit(event, step_, options_.max_attempts, order, report_);
  count(order, 1);
  check_claims(record, order);
  if (first) {
    order.tenant = tenant;
    submissions_.first_committed(record.id);
    admissions_.admitted(tenant, record.tenant, event.admitted_at.value_or(at_));
  }
  stock_.committed(record, before, tenant);
  if (follows_ledger()) money_.committed(record, charge, order);
  if (order.cancel_acknowledged && record.status == Status::fulfilled) {
    report_.add(Invariant::acknowledged_cancel, record.id.str(),
                "its cancel was acknowledged, and it is fulfilled");
  }
  auto const subscribed = subscribed_.find(tenant);
  bool const owed = subscribed != subscribed_.end() && subscribed->second;
  if (has_ended(record.status) && owed) order.delivery_owed = true;
}

void History::Judge::count(const OrderState& order, std::int64_t sign) {
  if (has_ended(order.status)) return;
  counted_.active += sign;
  if (order.dead_letter_open) counted_.open_dead_letters += sign;
  if (order.status == Status::cancelling && order.charge == domain::Charge::captured) {
    counted_.owed_refunds += sign;
  }
}

/// What the record says that its peers said: no more failures than they told of, and the reference
/// that the gateway gave.
void History::Judge::check_claims(const domain::Order& record, const OrderState& order) {
  bool const was_captured =
      record.charge == domain::Charge::captured || record.charge == domain::Charge::refunded;
  if (was_captured && order.reference != 0 &&
      Digest{}.add(record.capture_reference).value() != order.reference) {
    report_.add(Invariant::record_matches_ledger, record.id.str(),
                fmt::format("'{}' is not the reference that the gateway gave its capture",
                            record.capture_reference));
  }
  if (options_.failures == FailureFeed::absent) return;
  ClaimedFailures const claimed = claimed_failures(record);
  std::string_view what;
  if (claimed.of_charges > order.failed_charges) what = "charges";
  if (claimed.rejected_charges > order.rejected_charges) what = "rejected charges";
  if (claimed.of_handovers > order.failed_handovers) what = "hand-overs";
  if (claimed.refused_handovers > 0 && !order.handover_refused) what = "refused hand-overs";
  if (what.empty()) return;
  report_.add(Invariant::bounded_attempts, record.id.str(),
              fmt::format("version {} counts more {} that failed than were reported",
                          record.version.number, what));
}

void History::Judge::on(const PeerFailed& event) {
  OrderState& order = orders_[event.order];
  switch (event.what) {
    case PeerFailure::charge:
      ++order.failed_charges;
      break;
    case PeerFailure::charge_rejected:
      ++order.rejected_charges;
      break;
    case PeerFailure::handover:
      ++order.failed_handovers;
      break;
    case PeerFailure::handover_refused:
      order.handover_refused = true;
      break;
  }
}

void History::Judge::on(const DepthsNow& event) {
  auto const compare = [&](std::string_view what, std::size_t shown, std::int64_t counted) {
    if (static_cast<std::int64_t>(shown) == counted) return;
    report_.add(Invariant::depths_add_up, std::string(what),
                fmt::format("the store counts {}, its commits say {}", shown, counted));
  };
  compare("active orders", event.active, counted_.active);
  compare("open dead letters", event.open_dead_letters, counted_.open_dead_letters);
  compare("owed refunds", event.owed_refunds, counted_.owed_refunds);
}

void History::Judge::on(const KeyAnswered& event) {
  submissions_.key_answered(event, number_of(event.tenant));
}

void History::Judge::on(const KeyStored& event) {
  submissions_.key_stored(event, number_of(event.tenant), step_);
}

void History::Judge::stock_stored(Kind kind, TenantNumber tenant, const domain::ProductId& product,
                                  std::int64_t quantity) {
  Changes& changes = changes_of(kind, tenant, product, quantity);
  if (++changes.stored <= changes.asked) return;
  report_.add(Invariant::stored_was_submitted, product.str(),
              fmt::format("a change by {} is stored that nobody asked for", quantity));
  --changes.stored;
}

void History::Judge::on(const StockSet& event) {
  TenantNumber const tenant = number_of(event.tenant);
  stock_stored(Kind::set_stock, tenant, event.product, event.on_hand);
  stock_.set(event, tenant);
}

void History::Judge::on(const Restocked& event) {
  TenantNumber const tenant = number_of(event.tenant);
  stock_stored(Kind::restock, tenant, event.product, event.quantity);
  stock_.restocked(event, tenant);
}

void History::Judge::on(const StockNow& event) {
  stock_.shown(event, number_of(event.tenant));
}

void History::Judge::on(const ContractStored& event) {
  TenantNumber const tenant = number_of(event.tenant);
  admissions_.contract_stored(tenant, event.contract, event.effective_at.value_or(at_));
  if (event.disabled_endpoint != 0 &&
      !gone_.contains(endpoint_of(tenant, event.disabled_endpoint))) {
    report_.add(Invariant::ended_is_delivered, event.tenant.str(),
                "its webhook is disabled, and never said that it is gone");
  }
  if (event.content == 0) return;
  Changes& changes = contract_changes(tenant, event.content);
  std::uint64_t& in_force = in_force_[tenant];
  // Not one that was asked for: a request for the same content may still be under way.
  if (event.disabled_endpoint != 0 && in_force == event.content) return;
  if (changes.stored < changes.asked) {
    ++changes.stored;
  } else if (in_force != event.content) {
    report_.add(Invariant::stored_was_submitted, event.tenant.str(),
                "a contract is stored that nobody asked for and that was not in force");
  }
  in_force = event.content;
}

void History::Judge::on(const GroupEnded& event) {
  if (event.wall) submissions_.wall_shown(*event.wall);
}

// --- The gateway ---------------------------------------------------------------------------------

void History::Judge::move(MovementKind kind, const GatewayAct& act) {
  audit_.add_movement({.kind = kind, .order = act.order, .key = act.key, .amount = act.amount});
}

void History::Judge::on(const ChargeAsked& event) {
  money_.charge_asked(event, orders_[event.order]);
}

void History::Judge::on(const RefundAsked& event) {
  money_.refund_asked(event, orders_[event.order]);
}

void History::Judge::on(const Captured& event) {
  money_.captured(event, orders_[event.order]);
  move(MovementKind::capture, event);
}

void History::Judge::on(const Refunded& event) {
  money_.refunded(event, orders_[event.order]);
  move(MovementKind::refund, event);
}

void History::Judge::on(const Declined& event) {
  money_.given_up(event, orders_[event.order]);
}

void History::Judge::on(const Closed& event) {
  money_.given_up(event, orders_[event.order]);
}

// --- Webhooks ------------------------------------------------------------------------------------

void History::Judge::on(const Delivered& event) {
  auto const add = [&](Invariant invariant, std::string detail) {
    report_.add(invariant, event.order.str(), std::move(detail));
  };
  if (event.signature == Signature::invalid) {
    add(Invariant::delivery_identity, "a delivery's signature is not valid");
  }
  OrderState& order = orders_[event.order];
  std::uint64_t const name = Digest{}.add(event.webhook_id).value();
  auto const [known, added] = webhook_ids_.try_emplace(name, event.order);
  if (!added && !(known->second == event.order)) {
    add(Invariant::delivery_identity,
        fmt::format("{} is delivered under the id of {}", event.webhook_id, known->second.str()));
  }
  if (order.webhook_id != 0 && order.webhook_id != name) {
    add(Invariant::delivery_identity,
        fmt::format("delivered under another id, {}", event.webhook_id));
  }
  order.webhook_id = name;
  bool const ended = has_ended(event.status);
  if (!ended || (follows_store() && (order.stored == 0 || order.status != event.status)) ||
      (order.delivered_status_known && order.delivered_status != event.status)) {
    add(Invariant::delivery_of_ended,
        fmt::format("delivered as {}", domain::to_string(event.status)));
  }
  order.delivered_status = event.status;
  order.delivered_status_known = true;
  if (event.answer == ReceiverAnswer::accepted) order.delivered = true;
}

void History::Judge::on(const EndpointGone& event) {
  gone_.insert(endpoint_of(number_of(event.tenant), event.endpoint));
}

void History::Judge::on(const Subscribed& event) {
  subscribed_[number_of(event.tenant)] = true;
}

void History::Judge::on(const Unsubscribed& event) {
  TenantNumber const tenant = number_of(event.tenant);
  subscribed_[tenant] = false;
  unsubscribed_[tenant] = step_;
}

// --- Processes -----------------------------------------------------------------------------------

void History::Judge::on(const Crashed&) {}

void History::Judge::on(const Started& event) {
  failed_.erase(event.process.number);
}

void History::Judge::on(const SyncFailed& event) {
  failed_.try_emplace(event.process.number, step_);
}

void History::Judge::on(const FaultsStopped&) {}

}  // namespace penstock::checker
