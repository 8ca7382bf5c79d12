#include "checker/audit.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace penstock::checker {
namespace {

using domain::Charge;
using domain::Status;

bool has_ended(Status status) {
  return status == Status::fulfilled || status == Status::rejected || status == Status::cancelled;
}

std::string name_of(const domain::TenantId& tenant, const domain::ProductId& product) {
  return fmt::format("{}/{}", tenant.str(), product.str());
}

}  // namespace

std::uint32_t Audit::number_of(const domain::TenantId& tenant) {
  return tenants_.try_emplace(tenant, static_cast<std::uint32_t>(tenants_.size())).first->second;
}

void Audit::add_order(const domain::Order& order, ReceiptPresence receipt) {
  check_order(order, receipt, report_);
  ++report_.orders;
  if (domain::is_open_dead_letter(order)) ++report_.open_dead_letters;
  ++report_.orders_by_status.at(static_cast<std::size_t>(order.status));
  orders_.push_back({.id = order.id,
                     .total = order.total.minor_units,
                     .currency = order.total.currency,
                     .status = order.status,
                     .charge = order.charge,
                     .tenant = number_of(order.tenant)});
  bool const sold = order.status == Status::fulfilled;
  if (!sold && !order.holds_stock) return;
  for (const domain::Item& item : order.items) {
    Pieces& pieces = pieces_[{order.tenant, item.product}];
    (sold ? pieces.sold : pieces.reserved) += item.quantity;
  }
}

void Audit::add_stock(const domain::TenantId& tenant, const domain::ProductId& product,
                      const domain::Stock& stock) {
  ++report_.stock_records;
  stock_[{tenant, product}] = stock;
}

void Audit::add_idempotency(const domain::TenantId& tenant, std::string_view key,
                            const domain::IdempotencyRecord& record) {
  ++report_.idempotency_records;
  keys_.push_back({.order = record.order, .tenant = number_of(tenant), .key = std::string(key)});
}

void Audit::add_delivery(const domain::OrderId& order) {
  deliveries_.push_back(order);
}

void Audit::add_unreadable(std::string subject, std::string detail) {
  report_.add(Invariant::readable, std::move(subject), std::move(detail));
}

void Audit::use_ledger(LedgerScope scope) {
  report_.use(Evidence::ledger);
  scope_ = scope;
}

void Audit::add_movement(const Movement& movement) {
  report_.use(Evidence::ledger);
  ++report_.movements;
  std::string_view const wanted = movement.kind == MovementKind::capture ? "/charge" : "/refund";
  if (!movement.order.names(movement.key) ||
      !std::string_view(movement.key).substr(domain::OrderId::kTextSize).starts_with(wanted)) {
    report_.add(Invariant::record_matches_ledger, movement.order.str(),
                fmt::format("money moved under the foreign key {}", movement.key));
  }
  ledger_.push_back({.order = movement.order,
                     .minor_units = movement.amount.minor_units,
                     .currency = movement.amount.currency,
                     .kind = movement.kind});
}

const Audit::Summary* Audit::find(const domain::OrderId& order) const {
  auto const at = std::ranges::lower_bound(orders_, order, {}, &Summary::id);
  return at != orders_.end() && at->id == order ? &*at : nullptr;
}

Report Audit::finish() {
  std::ranges::sort(orders_, {}, &Summary::id);
  check_stored_once();
  check_keys();
  check_deliveries();
  check_stock();
  for (const Summary& order : orders_) {
    if (order.status == Status::fulfilled) {
      report_.money[std::string(order.currency.code())].fulfilled += order.total;
    }
  }
  if (report_.has(Evidence::ledger)) check_ledger();
  return std::move(report_);
}

void Audit::check_stored_once() {
  for (std::size_t index = 1; index < orders_.size(); ++index) {
    if (orders_[index].id == orders_[index - 1].id) {
      report_.add(Invariant::stored_once, orders_[index].id.str(), "stored more than once");
    }
  }
}

void Audit::check_keys() {
  for (const KeyedOrder& keyed : keys_) {
    const Summary* order = find(keyed.order);
    if (order == nullptr) {
      // A key outlives its order only where the order's month was dropped.
      if (report_.whole_history) {
        report_.add(Invariant::key_names_order, keyed.key,
                    fmt::format("names {}, which is not stored", keyed.order.str()));
      }
    } else if (order->tenant != keyed.tenant) {
      report_.add(Invariant::key_names_order, keyed.key,
                  fmt::format("names {}, which is another tenant's", keyed.order.str()));
    }
  }
}

void Audit::check_deliveries() {
  for (const domain::OrderId& delivered : deliveries_) {
    const Summary* order = find(delivered);
    if (order == nullptr && !report_.whole_history) continue;
    if (order == nullptr || !has_ended(order->status)) {
      report_.add(Invariant::delivery_of_ended, delivered.str(),
                  order == nullptr ? "the order is not stored" : "the order has not ended");
    }
  }
}

void Audit::check_stock() {
  for (auto const& [product, stock] : stock_) {
    std::string const name = name_of(product.first, product.second);
    report_.stock.received += stock.received;
    report_.stock.reserved += stock.reserved;
    report_.stock.sold += stock.sold;
    report_.stock.on_hand += stock.on_hand();
    if (stock.received < 0 || stock.reserved < 0 || stock.sold < 0 || stock.on_hand() < 0) {
      report_.add(Invariant::no_negative_term, name,
                  fmt::format("received {}, on hand {}, reserved {}, sold {}", stock.received,
                              stock.on_hand(), stock.reserved, stock.sold));
    }
    Pieces const pieces = pieces_[product];
    if (pieces.reserved != stock.reserved) {
      report_.add(Invariant::stock_balances, name,
                  fmt::format("{} reserved, orders hold {}", stock.reserved, pieces.reserved));
    }
    bool const sold_fits =
        report_.whole_history ? pieces.sold == stock.sold : pieces.sold <= stock.sold;
    if (!sold_fits) {
      report_.add(Invariant::stock_balances, name,
                  fmt::format("{} sold, fulfilled orders took {}", stock.sold, pieces.sold));
    }
  }
  for (auto const& [product, pieces] : pieces_) {
    if (!stock_.contains(product)) {
      report_.add(Invariant::stock_balances, name_of(product.first, product.second),
                  "orders hold or took pieces of a product without stock");
    }
  }
}

void Audit::check_ledger() {
  std::ranges::sort(ledger_, {}, &LedgerLine::order);
  std::size_t at = 0;
  auto const take = [&](const domain::OrderId& id, domain::Currency currency) {
    Moved moved;
    for (; at < ledger_.size() && ledger_[at].order == id; ++at) {
      const LedgerLine& line = ledger_[at];
      MoneyTotals& totals = report_.money[std::string(line.currency.code())];
      bool const capture = line.kind == MovementKind::capture;
      (capture ? totals.captured : totals.refunded) += line.minor_units;
      (capture ? moved.captured : moved.refunded) += line.minor_units;
      moved.captures += capture ? 1 : 0;
      moved.other_currency |= !(line.currency == currency);
    }
    return moved;
  };
  auto const unknown_before = [&](std::optional<domain::OrderId> end) {
    while (at < ledger_.size() && (!end || ledger_[at].order < *end)) {
      domain::OrderId const id = ledger_[at].order;
      Moved const moved = take(id, ledger_[at].currency);
      if (report_.whole_history && scope_ == LedgerScope::this_store) {
        report_.add(Invariant::stored_once, id.str(),
                    fmt::format("money moved for an order that is not stored: captured {} in {}, "
                                "refunded {}",
                                moved.captured, moved.captures, moved.refunded));
      }
    }
  };
  for (const Summary& order : orders_) {
    unknown_before(order.id);
    Moved const moved = take(order.id, order.currency);
    check_money(order, moved);
    check_record_against(order, moved);
    if (!has_ended(order.status)) {
      report_.money[std::string(order.currency.code())].open += moved.captured - moved.refunded;
    }
  }
  unknown_before(std::nullopt);
  if (!report_.whole_history || scope_ == LedgerScope::shared) return;
  for (auto const& [currency, totals] : report_.money) {
    if (totals.captured - totals.refunded != totals.fulfilled + totals.open) {
      report_.add(Invariant::money_balances, currency,
                  fmt::format("captured {} - refunded {} is not fulfilled {} + open {}",
                              totals.captured, totals.refunded, totals.fulfilled, totals.open));
    }
  }
}

void Audit::check_money(const Summary& order, const Moved& moved) {
  std::int64_t const kept = moved.captured - moved.refunded;
  auto const add = [&](Invariant invariant, std::string_view more = {}) {
    report_.add(invariant, order.id.str(),
                fmt::format("captured {} in {}, refunded {}, total {}{}", moved.captured,
                            moved.captures, moved.refunded, order.total, more));
  };
  if (moved.captures > 1) add(Invariant::one_capture);
  if (kept != 0 && kept != order.total) add(Invariant::all_or_nothing);
  if (moved.refunded > moved.captured) add(Invariant::refund_within_capture);
  if (order.status == Status::fulfilled && (kept != order.total || moved.other_currency)) {
    add(Invariant::fulfilled_captured, moved.other_currency ? ", in another currency" : "");
  }
  if ((order.status == Status::rejected || order.status == Status::cancelled) && kept != 0) {
    add(Invariant::ended_pays_back);
  }
}

void Audit::check_record_against(const Summary& order, const Moved& moved) {
  bool const captured = moved.captured > 0;
  bool const paid_back = captured && moved.captured == moved.refunded;
  bool fits = true;
  switch (order.charge) {
    case Charge::none:
    case Charge::closed:
      fits = !captured || paid_back;
      break;
    case Charge::open:
      // The answer may be on its way: captured or not, but nothing is paid back before it is known.
      fits = moved.refunded == 0;
      break;
    case Charge::captured:
      // A refund's answer may be on its way, but only of an order that is being taken back.
      fits = captured && (moved.refunded == 0 || order.status == Status::cancelling);
      break;
    case Charge::refunded:
      fits = paid_back;
      break;
  }
  if (fits) return;
  report_.add(Invariant::record_matches_ledger, order.id.str(),
              fmt::format("the ledger captured {} and refunded {}, the record's charge is {}",
                          moved.captured, moved.refunded, static_cast<int>(order.charge)));
}

}  // namespace penstock::checker
