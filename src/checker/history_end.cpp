// The end of a history: what the store holds, and what should have happened by then.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "checker/commit_rules.h"
#include "checker/digest.h"
#include "checker/history_judge.h"

namespace penstock::checker {

using domain::Status;

void History::Judge::add_final_order(const domain::Order& order, ReceiptPresence receipt) {
  if (in_group_) end_group();
  in_group_ = false;
  audit_.add_order(order, receipt);
  OrderState& state = orders_[order.id];
  TenantNumber const tenant = number_of(order.tenant);
  if (state.tenant != kNoTenant && state.tenant != tenant) {
    report_.add(Invariant::tenants_apart, order.id.str(),
                fmt::format("it was {}'s and is stored as {}'s", name_of(state.tenant).str(),
                            order.tenant.str()));
  }
  state.tenant = tenant;
  state.in_final_store = true;
  check_final_record(order, follows_store() ? CommitsKnown::yes : CommitsKnown::no, state, report_);
  if (has_ended(order.status)) return;
  bool const waits = domain::is_open_dead_letter(order);
  unfinished_.push_back(
      {.order = order.id,
       .status = order.status,
       .dead_lettered_at = waits ? std::optional(order.dead_letter->at) : std::nullopt,
       .owes_refund =
           order.status == Status::cancelling && order.charge == domain::Charge::captured});
}

void History::Judge::add_final_stock(const StockNow& stock) {
  audit_.add_stock(stock.tenant, stock.product, stock.stock);
  TenantNumber const tenant = number_of(stock.tenant);
  if (follows_store()) {
    stock_.check_final(stock, tenant);
  } else {
    stock_.check_against_changes(stock, tenant);
  }
}

void History::Judge::add_final_key(const domain::TenantId& tenant,
                                   const domain::IdempotencyKey& key,
                                   const domain::IdempotencyRecord& record) {
  audit_.add_idempotency(tenant, key.str(), record);
  submissions_.final_key(number_of(tenant), key, record);
}

void History::Judge::add_final_delivery(const domain::OrderId& order, FinalDelivery state) {
  if (state == FinalDelivery::pending) audit_.add_delivery(order);
  orders_[order].delivery_excused = true;
}

void History::Judge::add_unreadable(std::string subject, std::string detail) {
  audit_.add_unreadable(std::move(subject), std::move(detail));
}

void History::Judge::history_was_dropped() {
  whole_history_ = false;
  audit_.history_was_dropped();
}

void History::Judge::check_order_at_end(const domain::OrderId& id, const OrderState& order,
                                        Quiescence quiescence) {
  if (!order.in_final_store) {
    if (!whole_history_) return;
    if (follows_store() && order.stored != 0) {
      report_.add(Invariant::nothing_stored_is_lost, id.str(),
                  fmt::format("version {} was committed", order.stored));
    } else if (order.acknowledged || order.seen > 0) {
      report_.add(Invariant::acknowledged_is_stored, id.str(),
                  order.acknowledged ? "it was acknowledged" : "it was shown to a client");
    } else if (order.delivered_status_known) {
      report_.add(Invariant::delivery_of_ended, id.str(), "it was delivered and is not stored");
    }
    return;
  }
  if (order.cancel_acknowledged) {
    bool const undone = order.status == Status::cancelled || order.status == Status::cancelling;
    if (!undone) {
      report_.add(Invariant::acknowledged_cancel, id.str(),
                  fmt::format("its cancel was acknowledged, and it is {}",
                              domain::to_string(order.status)));
    }
  }
  if (order.cancel_refused && order.status != Status::fulfilled &&
      order.status != Status::rejected) {
    report_.add(Invariant::acknowledged_cancel, id.str(),
                fmt::format("a cancel was refused as too late, and it is {}",
                            domain::to_string(order.status)));
  }
  if (!follows_store() && order.asked >= 0 &&
      (order.asked != order.total || !(order.asked_currency == order.currency))) {
    report_.add(
        Invariant::same_key_same_parameters, id.str(),
        fmt::format("the gateway was asked for {}, the total is {}", order.asked, order.total));
  }
  check_delivery_at_end(id, order, quiescence);
}

void History::Judge::check_delivery_at_end(const domain::OrderId& id, const OrderState& order,
                                           Quiescence quiescence) {
  if (order.delivered_status_known && order.delivered_status != order.status) {
    report_.add(
        Invariant::delivery_of_ended, id.str(),
        fmt::format("delivered as {}, and it is {}", domain::to_string(order.delivered_status),
                    domain::to_string(order.status)));
  }
  if (quiescence != Quiescence::reached || !has_ended(order.status) || order.delivered ||
      order.delivery_excused) {
    return;
  }
  bool owed = order.delivery_owed;
  if (follows_store()) {
    auto const gone = unsubscribed_.find(order.tenant);
    owed = owed && (gone == unsubscribed_.end() || gone->second < order.ended);
  } else {
    auto const subscribed = subscribed_.find(order.tenant);
    owed = subscribed != subscribed_.end() && subscribed->second;
  }
  if (!owed) return;
  report_.add(Invariant::ended_is_delivered, id.str(),
              fmt::format("it is {}, and nobody was told", domain::to_string(order.status)));
}

void History::Judge::check_liveness(Quiescence quiescence, std::optional<domain::Instant> wall) {
  if (quiescence != Quiescence::reached) return;
  for (const Unfinished& order : unfinished_) {
    if (!order.dead_lettered_at) {
      report_.add(Invariant::everything_ends, order.order.str(),
                  fmt::format("it is still {}", domain::to_string(order.status)));
    } else if (wall && *order.dead_lettered_at + options_.dead_letter_hold <= *wall) {
      report_.add(Invariant::everything_ends, order.order.str(),
                  "it is a dead letter beyond its hold");
    }
  }
}

void History::Judge::check_depths() {
  if (!depths_) return;
  auto const dead = static_cast<std::size_t>(std::ranges::count_if(
      unfinished_, [](const Unfinished& order) { return order.dead_lettered_at.has_value(); }));
  auto const owed = static_cast<std::size_t>(std::ranges::count_if(
      unfinished_, [](const Unfinished& order) { return order.owes_refund; }));
  auto const compare = [&](std::string_view what, std::size_t counted, std::size_t found) {
    if (counted == found) return;
    report_.add(Invariant::depths_add_up, std::string(what),
                fmt::format("the store counts {}, its records say {}", counted, found));
  };
  compare("active orders", depths_->active, unfinished_.size());
  compare("open dead letters", depths_->open_dead_letters, dead);
  compare("owed refunds", depths_->owed_refunds, owed);
}

Report History::Judge::finish(Quiescence quiescence, std::optional<domain::Instant> wall) {
  if (in_group_) end_group();
  submissions_.check_final_keys();
  if (!follows_store()) submissions_.check_all();
  for (auto const& [id, order] : orders_) check_order_at_end(id, order, quiescence);
  if (follows_store()) stock_.check_missing();
  check_liveness(quiescence, wall);
  check_depths();
  Report whole = merged();
  whole.use(Evidence::history);
  if (quiescence == Quiescence::reached) whole.use(Evidence::rest);
  if (follows_store()) whole.use(Evidence::commits);
  return whole;
}

/// The audit's report with what the history found before it; an order that broke an invariant on
/// the way is not told of again because it still does at the end.
Report History::Judge::merged() {
  Report whole = audit_.finish();
  std::vector<Finding> const at_rest = std::move(whole.findings);
  std::unordered_set<std::uint64_t> told;
  auto const name = [](const Finding& finding) {
    return Digest{}.add(static_cast<std::uint64_t>(finding.invariant)).add(finding.subject).value();
  };
  whole.findings = std::move(report_.findings);
  for (const Finding& finding : whole.findings) told.insert(name(finding));
  for (const Finding& finding : at_rest) {
    if (told.contains(name(finding))) {
      --whole.broken.at(static_cast<std::size_t>(finding.invariant));
    } else if (whole.findings.size() < kMaxFindings) {
      whole.findings.push_back(finding);
    }
  }
  for (std::size_t index = 0; index < kInvariants; ++index) {
    whole.broken.at(index) += report_.broken.at(index);
  }
  whole.operations = report_.operations;
  whole.acknowledged = report_.acknowledged;
  whole.unknown = report_.unknown + pending_.size();
  return whole;
}

}  // namespace penstock::checker
