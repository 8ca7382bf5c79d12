#include "checker/money_book.h"

#include <charconv>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "checker/digest.h"

namespace penstock::checker {
namespace {

using domain::Charge;
using domain::Status;

/// The generation that a charge key names: "<id>/charge" is 0, "<id>/charge.n" is n.
std::optional<std::int32_t> generation_of(const GatewayAct& act) {
  std::string_view rest = act.key;
  if (!act.order.names(rest)) return std::nullopt;
  rest.remove_prefix(domain::OrderId::kTextSize);
  if (!rest.starts_with("/charge")) return std::nullopt;
  rest.remove_prefix(std::string_view("/charge").size());
  if (rest.empty()) return 0;
  std::int32_t generation = 0;
  auto const [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), generation);
  bool const whole = error == std::errc{} && end == rest.data() + rest.size();
  return rest[0] == '.' && whole && generation > 0 ? std::optional(generation) : std::nullopt;
}

bool is_refund_key(const GatewayAct& act) {
  return act.order.names(act.key) &&
         std::string_view(act.key).substr(domain::OrderId::kTextSize) == "/refund";
}

/// By how many totals the ledger may be ahead of this record, and is.
std::int8_t ahead(const OrderState& order) {
  bool const taken = order.captures > 0 && order.refunded < order.captured;
  bool const paid_back = order.captures > 0 && order.refunded >= order.captured;
  if (taken && order.charge == Charge::open) return 1;
  if (paid_back && order.charge == Charge::captured) return -1;
  return 0;
}

}  // namespace

MoneyBook::Account& MoneyBook::account_of(TenantNumber tenant, domain::Currency currency) {
  std::string_view const code = currency.code();
  std::uint64_t key = tenant;
  for (char const letter : code) key = key << 8 | static_cast<unsigned char>(letter);
  return accounts_[key];
}

void MoneyBook::check_amount(const GatewayAct& act, OrderState& order) {
  if (order.asked < 0) {
    order.asked = act.amount.minor_units;
    order.asked_currency = act.amount.currency;
  } else if (order.asked != act.amount.minor_units ||
             !(order.asked_currency == act.amount.currency)) {
    report_.add(
        Invariant::same_key_same_parameters, act.order.str(),
        fmt::format("{} {} under {}, before {} {}", act.amount.minor_units,
                    act.amount.currency.code(), act.key, order.asked, order.asked_currency.code()));
  }
  if (records_ == Records::unknown) return;
  if (order.stored == 0) {
    report_.add(Invariant::stored_once, act.order.str(),
                "the gateway was asked for an order that is not stored");
  } else if (act.amount.minor_units != order.total || !(act.amount.currency == order.currency)) {
    report_.add(
        Invariant::same_key_same_parameters, act.order.str(),
        fmt::format("{} {} under {}, the total is {} {}", act.amount.minor_units,
                    act.amount.currency.code(), act.key, order.total, order.currency.code()));
  }
}

void MoneyBook::charge_asked(const GatewayAct& act, OrderState& order) {
  check_amount(act, order);
  auto const generation = generation_of(act);
  if (!generation) {
    report_.add(Invariant::same_key_same_parameters, act.order.str(),
                fmt::format("a charge under the foreign key {}", act.key));
  } else if (records_ == Records::followed && *generation > order.opened_generation) {
    report_.add(Invariant::record_matches_ledger, act.order.str(),
                fmt::format("asked to charge under {} before a commit opened it", act.key));
  }
}

void MoneyBook::refund_asked(const GatewayAct& act, OrderState& order) {
  check_amount(act, order);
  if (!is_refund_key(act)) {
    report_.add(Invariant::same_key_same_parameters, act.order.str(),
                fmt::format("a refund under the foreign key {}", act.key));
  } else if (records_ == Records::followed && order.status != Status::cancelling &&
             order.status != Status::cancelled) {
    report_.add(
        Invariant::record_matches_ledger, act.order.str(),
        fmt::format("asked to refund an order that is {}", domain::to_string(order.status)));
  }
}

void MoneyBook::move(const GatewayAct& act, std::int64_t minor_units, OrderState& order) {
  bool const other_currency =
      order.asked_currency != act.amount.currency ||
      (records_ == Records::followed && order.stored != 0 && order.currency != act.amount.currency);
  if (other_currency) {
    report_.add(Invariant::all_or_nothing, act.order.str(),
                fmt::format("{} moved in {}", minor_units, act.amount.currency.code()));
  }
  if (records_ == Records::unknown || order.stored == 0) return;
  Account& account = account_of(order.tenant, act.amount.currency);
  account.moved += minor_units;
  settle(act.order, order, account);
}

void MoneyBook::captured(const Captured& act, OrderState& order) {
  charge_asked(act, order);
  if (!act.reference.empty()) order.reference = Digest{}.add(act.reference).value();
  auto const generation = generation_of(act);
  if (generation && *generation <= order.closed_generation) {
    report_.add(Invariant::record_matches_ledger, act.order.str(),
                fmt::format("captured under {}, which was closed", act.key));
  }
  if (order.captures > 0) {
    report_.add(Invariant::one_capture, act.order.str(),
                fmt::format("captured again, under {}", act.key));
  }
  if (act.amount.minor_units != order.asked) {
    report_.add(Invariant::all_or_nothing, act.order.str(),
                fmt::format("{} was captured, {} is owed", act.amount.minor_units, order.asked));
  }
  if (order.captures < UINT16_MAX) ++order.captures;
  order.captured += act.amount.minor_units;
  move(act, act.amount.minor_units, order);
}

void MoneyBook::refunded(const GatewayAct& act, OrderState& order) {
  refund_asked(act, order);
  order.refunded += act.amount.minor_units;
  if (order.refunded > order.captured) {
    report_.add(Invariant::refund_within_capture, act.order.str(),
                fmt::format("{} paid back of {}", order.refunded, order.captured));
  } else if (order.refunded != order.captured) {
    report_.add(Invariant::all_or_nothing, act.order.str(),
                fmt::format("{} paid back of {}", order.refunded, order.captured));
  }
  if (records_ == Records::followed && order.status == Status::fulfilled) {
    report_.add(Invariant::fulfilled_captured, act.order.str(), "paid back although fulfilled");
  }
  move(act, -act.amount.minor_units, order);
}

void MoneyBook::given_up(const GatewayAct& act, OrderState& order) {
  auto const generation = generation_of(act);
  if (generation && *generation > order.closed_generation) order.closed_generation = *generation;
}

void MoneyBook::committed(const domain::Order& record, Charge before, OrderState& order) {
  std::int32_t const generation = record.key_generation;
  if (record.charge == Charge::open && generation > order.opened_generation) {
    order.opened_generation = generation;
  }
  if (before == record.charge && order.captures == 0) return;
  std::string_view wrong;
  bool const kept = order.captured > order.refunded;
  switch (record.charge) {
    case Charge::captured:
      if (order.captures == 0) wrong = "captured, which the ledger does not know";
      break;
    case Charge::refunded:
      if (order.captures == 0 || kept) wrong = "refunded, which the ledger does not know";
      break;
    case Charge::closed:
      if (kept) wrong = "closed, while the ledger holds a capture";
      if (before != Charge::closed && order.closed_generation < generation) {
        wrong = "closed, which the gateway never said";
      }
      break;
    case Charge::open:
      if (order.refunded > 0) wrong = "open, while the ledger has a refund";
      break;
    case Charge::none:
      if (kept) wrong = "none, while the ledger holds a capture";
      break;
  }
  if (!wrong.empty()) {
    report_.add(Invariant::record_matches_ledger, record.id.str(),
                fmt::format("version {} says {}", record.version.number, wrong));
  }
  if (has_ended(record.status) && record.status != Status::fulfilled && kept) {
    report_.add(Invariant::ended_pays_back, record.id.str(),
                fmt::format("{} with money at the gateway", domain::to_string(record.status)));
  }
  if (record.status == Status::fulfilled && order.captured - order.refunded != order.total) {
    report_.add(Invariant::fulfilled_captured, record.id.str(),
                fmt::format("fulfilled with {} of {} captured", order.captured - order.refunded,
                            order.total));
  }
  Account& account = account_of(order.tenant, record.total.currency);
  if (before == Charge::captured) account.recorded -= record.total.minor_units;
  if (record.charge == Charge::captured) account.recorded += record.total.minor_units;
  settle(record.id, order, account);
}

void MoneyBook::settle(const domain::OrderId& id, OrderState& order, Account& account) {
  std::int8_t const now = ahead(order);
  account.in_flight += static_cast<domain::Int128>(now - order.in_flight) * order.total;
  order.in_flight = now;
  domain::Int128 const expected = account.recorded + account.in_flight;
  if (account.moved == expected) return;
  auto const difference = static_cast<std::int64_t>(account.moved - expected);
  report_.add(Invariant::money_balances, id.str(),
              fmt::format("its account in {} is off by {}", order.currency.code(), difference));
  account.moved = expected;  // one finding for one difference
}

}  // namespace penstock::checker
