#include "checker/order_rules.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "domain/int128.h"

namespace penstock::checker {
namespace {

using domain::Charge;
using domain::DeadLetterState;
using domain::Order;
using domain::Status;

/// The reference automaton, written from the semantics and not from the product's own table.
bool may_follow(Status from, Status to) {
  constexpr std::array<std::pair<Status, Status>, 13> kArrows{{
      {Status::placed, Status::placed},
      {Status::placed, Status::reserved},
      {Status::placed, Status::rejected},
      {Status::placed, Status::cancelling},
      {Status::placed, Status::cancelled},
      {Status::reserved, Status::reserved},
      {Status::reserved, Status::charged},
      {Status::reserved, Status::cancelling},
      {Status::charged, Status::charged},
      {Status::charged, Status::fulfilled},
      {Status::charged, Status::cancelling},
      {Status::cancelling, Status::cancelling},
      {Status::cancelling, Status::cancelled},
  }};
  for (auto const& [source, target] : kArrows) {
    if (source == from && target == to) return true;
  }
  return false;
}

bool has_ended(Status status) {
  return status == Status::fulfilled || status == Status::rejected || status == Status::cancelled;
}

std::string_view name_of(std::optional<Status> status) {
  return status ? domain::to_string(*status) : "nothing";
}

std::string_view name_of(Charge charge) {
  constexpr std::array<std::string_view, 5> kNames{"none", "open", "captured", "closed",
                                                   "refunded"};
  return kNames.at(static_cast<std::size_t>(charge));
}

void check_versions(const Order& order, Report& report) {
  if (order.version.number != order.timeline.size()) {
    report.add(
        Invariant::versions_without_gaps, order.id.str(),
        fmt::format("version {} with {} events", order.version.number, order.timeline.size()));
  }
  std::uint32_t expected = 1;
  for (const domain::Event& event : order.timeline) {
    if (event.version.number != expected) {
      report.add(Invariant::versions_without_gaps, order.id.str(),
                 fmt::format("event {} has version {}", expected, event.version.number));
      return;
    }
    ++expected;
  }
}

void check_transitions(const Order& order, Report& report) {
  std::optional<Status> at;
  for (const domain::Event& event : order.timeline) {
    if (at && has_ended(*at)) {
      report.add(Invariant::one_terminal_state, order.id.str(),
                 fmt::format("{} is followed by {}", name_of(at), domain::to_string(event.to)));
    } else if (event.from != at || (at ? !may_follow(*at, event.to) : event.to != Status::placed)) {
      report.add(
          Invariant::legal_transitions, order.id.str(),
          fmt::format("at {}, version {} goes from {} to {}", name_of(at), event.version.number,
                      name_of(event.from), domain::to_string(event.to)));
    }
    at = event.to;
  }
  if (at != order.status) {
    report.add(Invariant::legal_transitions, order.id.str(),
               fmt::format("the record says {}, its last event {}", domain::to_string(order.status),
                           name_of(at)));
  }
}

/// From the first event on; whoever's clock a commit was made by, it shows no time before the last.
void check_times(const Order& order, Report& report) {
  auto const complain = [&](std::string_view detail) {
    report.add(Invariant::times_in_order, order.id.str(), std::string(detail));
  };
  if (order.timeline.empty()) return;
  domain::Instant last = order.created_at;
  for (const domain::Event& event : order.timeline) {
    if (event.at < last) {
      complain(fmt::format("version {} is {} us before what precedes it", event.version.number,
                           (last - event.at).us));
    }
    last = event.at;
  }
  if (order.updated_at < last) complain("it was changed last before its last event");
}

/// The sum of quantity * price in arithmetic of the checker's own.
bool is_sum_of_lines(const Order& order) {
  domain::Int128 sum = 0;
  for (const domain::Item& item : order.items) {
    sum += static_cast<domain::Int128>(item.quantity) * item.price_minor;
  }
  return sum == order.total.minor_units;
}

/// What the record itself says of the money; the ledger is asked by the audit.
void check_charge(const Order& order, Report& report) {
  bool const free = order.total.minor_units == 0;
  Charge const charge = order.charge;
  if (order.status == Status::charged || order.status == Status::fulfilled) {
    if (charge != (free ? Charge::none : Charge::captured)) {
      report.add(
          Invariant::fulfilled_captured, order.id.str(),
          fmt::format("{} with charge {}", domain::to_string(order.status), name_of(charge)));
    }
  }
  bool const was_captured = charge == Charge::captured || charge == Charge::refunded;
  if (was_captured && order.capture_reference.empty()) {
    report.add(Invariant::record_matches_ledger, order.id.str(),
               fmt::format("charge {} without the gateway's reference", name_of(charge)));
  }
  if (order.status == Status::rejected || order.status == Status::cancelled) {
    if (charge == Charge::open || charge == Charge::captured) {
      report.add(
          Invariant::ended_pays_back, order.id.str(),
          fmt::format("{} with charge {}", domain::to_string(order.status), name_of(charge)));
    }
  }
}

void check_dead_letter(const Order& order, Report& report) {
  if (!order.dead_letter) return;
  const domain::DeadLetter& mark = *order.dead_letter;
  auto const complain = [&](std::string_view detail) {
    report.add(Invariant::dead_letter_consistent, order.id.str(), std::string(detail));
  };
  bool const unwinds = order.status == Status::cancelling || order.status == Status::cancelled;
  if (mark.state == DeadLetterState::open) {
    if (has_ended(order.status)) complain("an open dead letter of an order that ended");
    if (order.charge == Charge::open) complain("an open dead letter whose charge is unresolved");
    if (order.charge == Charge::captured) complain("an open dead letter that keeps money");
  } else if (!unwinds) {
    complain("a dead letter that was given up, of an order that was not cancelled");
  }
  if (mark.first_failed_at > mark.at) complain("it failed first after it was dead-lettered");
}

}  // namespace

void check_order(const Order& order, ReceiptPresence receipt, Report& report, int max_attempts) {
  check_versions(order, report);
  check_times(order, report);
  check_transitions(order, report);
  check_attempts(order, max_attempts, report);
  check_charge(order, report);
  check_dead_letter(order, report);
  bool const fulfilled = order.status == Status::fulfilled;
  if (fulfilled != (receipt == ReceiptPresence::present)) {
    report.add(Invariant::receipt_iff_fulfilled, order.id.str(),
               fmt::format("{} {} a receipt", domain::to_string(order.status),
                           fulfilled ? "without" : "with"));
  }
  bool const may_hold = order.status == Status::reserved || order.status == Status::charged;
  if (order.holds_stock != may_hold) {
    report.add(Invariant::reservation_ends, order.id.str(),
               fmt::format("{} and {} stock", domain::to_string(order.status),
                           order.holds_stock ? "holds" : "holds no"));
  }
  if (!is_sum_of_lines(order)) {
    report.add(Invariant::all_or_nothing, order.id.str(), "the total is not the sum of the items");
  }
}

}  // namespace penstock::checker
