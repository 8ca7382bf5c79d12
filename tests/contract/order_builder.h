#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "domain/check.h"
#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/money.h"
#include "domain/order.h"
#include "domain/saga.h"

namespace penstock::store_contract {

/// Builds a valid order; a test changes the one field that it is about. Without changes: tenant
/// "acme", one piece of "PROD-1" at 10.00 USD. A total is always the sum of the items.
class OrderBuilder {
 public:
  /// `number` makes the id: ids of the same instant sort by it.
  explicit OrderBuilder(std::uint64_t number) : number_(number) {
    draft_.tenant = domain::TenantId::unchecked("acme");
    draft_.customer = domain::CustomerId::unchecked("cust-1");
    draft_.payment_method = "pm_ok";
    draft_.correlation = domain::CorrelationId::unchecked("corr-" + std::to_string(number));
    draft_.total.currency = domain::Currency::usd();
  }

  OrderBuilder& tenant(std::string name) {
    draft_.tenant = domain::TenantId::unchecked(std::move(name));
    return *this;
  }
  OrderBuilder& customer(std::string name) {
    draft_.customer = domain::CustomerId::unchecked(std::move(name));
    return *this;
  }
  /// Adds a line; the first one takes the default line's place.
  OrderBuilder& item(std::string product, std::int32_t quantity = 1,
                     std::int64_t price_minor = 1'000) {
    draft_.items.push_back({.product = domain::ProductId::unchecked(std::move(product)),
                            .quantity = quantity,
                            .price_minor = price_minor});
    return *this;
  }
  OrderBuilder& currency(std::string_view code) {
    draft_.total.currency = *domain::Currency::parse(code);
    return *this;
  }
  OrderBuilder& payment_method(std::string token) {
    draft_.payment_method = std::move(token);
    return *this;
  }
  OrderBuilder& metadata(std::string name, std::string value) {
    draft_.metadata.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  OrderBuilder& correlation(std::string id) {
    draft_.correlation = domain::CorrelationId::unchecked(std::move(id));
    return *this;
  }
  OrderBuilder& traceparent(std::string header) {
    draft_.traceparent = std::move(header);
    return *this;
  }

  /// Version 1, placed at `now`.
  domain::Order placed(domain::Instant now) const {
    domain::Order draft = draft_;
    if (draft.items.empty()) {
      draft.items.push_back(
          {.product = domain::ProductId::unchecked("PROD-1"), .quantity = 1, .price_minor = 1'000});
    }
    const auto total = domain::total_of(draft.items);
    PENSTOCK_CHECK(total.has_value(), "the built order's total is within limits");
    draft.total.minor_units = *total;
    draft.id = domain::OrderId::make(now, 0, number_);
    return domain::place(std::move(draft), now);
  }

 private:
  std::uint64_t number_;
  domain::Order draft_;
};

/// The saga's steps as a test needs them: what the pipeline would commit. Each CHECKs that the
/// order is where the step begins.
namespace steps {

inline domain::Advance advance_of(domain::Step step) {
  auto* advance = std::get_if<domain::Advance>(&step);
  PENSTOCK_CHECK(advance != nullptr, "the step is a transition");
  return std::move(*advance);
}

inline domain::Advance after(const domain::Order& order, domain::EffectKind kind,
                             domain::Outcome outcome, domain::Instant now) {
  return advance_of(
      domain::after_effect(order, kind, outcome, {}, {.now = now, .random = ~0ULL}, 1));
}

/// What the order does by itself: placed reserves, charged is fulfilled, a cancelling one without
/// money ends, a dead letter whose hold is over is compensated.
inline domain::Advance next(const domain::Order& order, domain::Instant now) {
  return advance_of(domain::next_step(order, {}, {.now = now, .random = ~0ULL}));
}

inline domain::Advance capture(const domain::Order& order, domain::Instant now) {
  return after(order, domain::EffectKind::charge,
               {.kind = domain::OutcomeKind::done, .reference = "cap-" + order.id.str()}, now);
}

inline domain::Advance decline(const domain::Order& order, domain::Instant now) {
  return after(order, domain::EffectKind::charge,
               {.kind = domain::OutcomeKind::refused, .reference = {}}, now);
}

/// A reported transient failure of the charge: an attempt, due after its backoff.
inline domain::Advance fail(const domain::Order& order, domain::Instant now) {
  return after(order, domain::EffectKind::charge,
               {.kind = domain::OutcomeKind::transient, .reference = {}}, now);
}

/// The gateway refused the request itself: the next close makes a dead letter of it.
inline domain::Advance refuse(const domain::Order& order, domain::Instant now) {
  return after(order, domain::EffectKind::charge,
               {.kind = domain::OutcomeKind::permanent, .reference = {}}, now);
}

inline domain::Advance close_charge(const domain::Order& order, domain::Instant now) {
  return after(order, domain::EffectKind::close_charge,
               {.kind = domain::OutcomeKind::closed, .reference = {}}, now);
}

inline domain::Advance refund(const domain::Order& order, domain::Instant now) {
  return after(order, domain::EffectKind::refund,
               {.kind = domain::OutcomeKind::done, .reference = {}}, now);
}

inline domain::Advance cancel(const domain::Order& order, domain::Instant now) {
  auto advance = domain::cancel(order, now);
  PENSTOCK_CHECK(advance.has_value() && advance->has_value(), "the order can be cancelled");
  return std::move(**advance);
}

}  // namespace steps
}  // namespace penstock::store_contract
