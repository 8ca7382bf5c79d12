#pragma once

#include <cstdint>
#include <string>

#include "domain/order.h"
#include "domain/saga.h"

/// Valid orders for the checker's tests to break in one place each.
namespace penstock::checker {

inline constexpr domain::Instant kStart{1'795'000'000'000'000};

/// A placed order of two items of one product, 20.00 USD in all.
inline domain::Order placed_order(std::uint64_t number = 1) {
  domain::Order draft;
  draft.id = domain::OrderId::make(kStart, 0, number);
  draft.tenant = domain::TenantId::unchecked("acme");
  draft.customer = domain::CustomerId::unchecked("cust-1");
  draft.items = {
      {.product = domain::ProductId::unchecked("PROD-001"), .quantity = 2, .price_minor = 1000}};
  draft.total = {.minor_units = 2000, .currency = domain::Currency::usd()};
  draft.payment_method = "pm_ok";
  return domain::place(std::move(draft), kStart);
}

inline domain::Order next_of(const domain::Order& order) {
  domain::Step step = domain::next_step(order, {}, {.now = order.due});
  return std::get<domain::Advance>(std::move(step)).next;
}

inline domain::Order after(const domain::Order& order, domain::EffectKind kind,
                           domain::OutcomeKind outcome) {
  domain::Step step = domain::after_effect(order, kind, {.kind = outcome, .reference = "ch_1"}, {},
                                           {.now = order.due}, 0);
  return std::get<domain::Advance>(std::move(step)).next;
}

inline domain::Order reserved_order(std::uint64_t number = 1) {
  return next_of(placed_order(number));
}

inline domain::Order charged_order(std::uint64_t number = 1) {
  return after(reserved_order(number), domain::EffectKind::charge, domain::OutcomeKind::done);
}

inline domain::Order fulfilled_order(std::uint64_t number = 1) {
  return next_of(charged_order(number));
}

/// Declined: cancelled, with nothing captured.
inline domain::Order declined_order(std::uint64_t number = 1) {
  return next_of(
      after(reserved_order(number), domain::EffectKind::charge, domain::OutcomeKind::refused));
}

/// Cancelled after it was charged, and paid back.
inline domain::Order refunded_order(std::uint64_t number = 1) {
  domain::Order const cancelling = domain::cancel(charged_order(number), kStart).value()->next;
  return after(cancelling, domain::EffectKind::refund, domain::OutcomeKind::done);
}

inline domain::Order rejected_order(std::uint64_t number = 1) {
  return domain::reject_instead(reserved_order(number), domain::Reason::insufficient_stock);
}

/// Given up by the gateway at the first attempt: waits for redrive, its stock held.
inline domain::Order dead_lettered_order(std::uint64_t number = 1) {
  domain::Order const failed =
      after(reserved_order(number), domain::EffectKind::charge, domain::OutcomeKind::permanent);
  return after(failed, domain::EffectKind::close_charge, domain::OutcomeKind::closed);
}

}  // namespace penstock::checker
