#include <algorithm>
#include <utility>

#include "domain/limits.h"
#include "pipeline/machine.h"

namespace penstock::pipeline {
namespace {

using domain::Now;

constexpr domain::Duration kLeastRetryAfter = domain::Duration::seconds(1);

/// A store that stopped may have synced or not: the client learns nothing. One that was away did
/// nothing.
Refusal refusal_of(ports::StoreError error) {
  return error == ports::StoreError::unavailable ? Refusal::reduced_capacity : Refusal::abandoned;
}

Refusal refusal_of(domain::RequestError error) {
  switch (error) {
    case domain::RequestError::already_terminal:
      return Refusal::already_terminal;
    case domain::RequestError::not_a_dead_letter:
    case domain::RequestError::timeline_full:
      return Refusal::not_a_dead_letter;
  }
  return Refusal::not_a_dead_letter;
}

PlaceOutcome place_outcome_of(ports::AcceptOutcome outcome) {
  switch (outcome) {
    case ports::AcceptOutcome::accepted:
      return PlaceOutcome::accepted;
    case ports::AcceptOutcome::replayed:
      return PlaceOutcome::replayed;
    case ports::AcceptOutcome::key_reused:
      return PlaceOutcome::key_reused;
    case ports::AcceptOutcome::denied:
      return PlaceOutcome::quota_exceeded;
    case ports::AcceptOutcome::exceeds_capacity:
      return PlaceOutcome::cost_exceeds_capacity;
    case ports::AcceptOutcome::full:
      return PlaceOutcome::reduced_capacity;
  }
  return PlaceOutcome::reduced_capacity;
}

Then stock_answer(Done<std::expected<domain::Stock, Refusal>> done) {
  return [done = std::move(done)](auto result) mutable {
    if (!result) return done(std::unexpected(refusal_of(result.error())));
    const auto& stock = std::get<ports::StockResult>(*result).stock;
    if (!stock) return done(std::unexpected(Refusal::stock_limit));
    done(*stock);
  };
}

/// The 12 bits behind an id's milliseconds, in 1/4096 ms: orders that one client places one after
/// the other are listed in that order (RFC 9562, 6.2, method 3).
std::uint64_t fraction_of_millisecond(domain::Instant at) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(at.us, 0)) % 1000 * 4096 / 1000;
}

/// The stored order, or why there is none to work on.
std::expected<domain::Order, Refusal> read_order(const ports::OrderReader& reader,
                                                 const domain::OrderId& id) {
  auto stored = reader.find(id);
  if (!stored) return std::unexpected(refusal_of(stored.error()));
  if (!*stored) return std::unexpected(Refusal::not_found);
  return std::move((*stored)->order);
}

}  // namespace

// Ingest: where this process also reserves, the reservation shares the order's first commit.
void Pipeline::Machine::handle(PlaceOrder&& request, Now now) {
  if (draining_ || !options_.stages.ingest) {
    PlaceResult result;
    result.outcome = PlaceOutcome::draining;
    result.retry_after = kLeastRetryAfter;
    meter_.placed(request.draft.tenant, result.outcome);
    request.done(std::move(result));
    return;
  }
  request.draft.id =
      domain::OrderId::make(now.wall, fraction_of_millisecond(now.wall), parts_.random.next());
  domain::Order placed = place(std::move(request.draft), now.wall);
  ports::Accept accept;
  accept.idempotency = std::move(request.idempotency);
  const domain::TenantId tenant = placed.tenant;
  if (options_.stages.inventory) {
    domain::Step step = next_step(placed, options_.saga, {now.wall, parts_.random.next()});
    auto& reserve = std::get<domain::Advance>(step);
    accept.commit.next = std::move(reserve.next);
    accept.commit.stock = reserve.stock;
  } else {
    accept.commit.next = std::move(placed);
  }
  using Result = std::expected<ports::CommandResult, ports::StoreError>;
  commits_.add(std::move(accept),
               [this, tenant, done = std::move(request.done)](Result&& result) mutable {
                 answer_place(done, tenant, std::move(result));
               });
}

void Pipeline::Machine::answer_place(
    Done<PlaceResult>& done, const domain::TenantId& tenant,
    std::expected<ports::CommandResult, ports::StoreError>&& result) {
  PlaceResult answer;
  if (!result) {
    answer.outcome = result.error() == ports::StoreError::unavailable
                         ? PlaceOutcome::reduced_capacity
                         : PlaceOutcome::abandoned;
    answer.retry_after = kLeastRetryAfter;
    meter_.placed(tenant, answer.outcome);
    done(std::move(answer));
    return;
  }
  auto& accepted = std::get<ports::AcceptResult>(*result);
  answer.outcome = place_outcome_of(accepted.outcome);
  answer.take = accepted.take;
  answer.contract = accepted.contract;
  answer.retry_after = std::max(accepted.take.wait, kLeastRetryAfter);
  meter_.placed(tenant, answer.outcome);
  if (accepted.outcome == ports::AcceptOutcome::accepted) {
    landed(landing_of(*accepted.order, {}, parts_.log.enabled(ports::LogLevel::debug)));
  }
  answer.order = std::move(accepted.order);
  done(std::move(answer));
}

void Pipeline::Machine::handle(PeekRateLimit request, Now) {
  commits_.add(ports::PeekBucket{std::move(request.tenant)},
               [done = std::move(request.done)](auto result) mutable {
                 if (!result) return done(std::unexpected(refusal_of(result.error())));
                 const auto& peeked = std::get<ports::AcceptResult>(*result);
                 done(PeekResult{peeked.take, peeked.contract});
               });
}

void Pipeline::Machine::handle(CancelOrder request, Now now) {
  auto order = read_order(parts_.reader, request.order);
  if (!order) return request.done(std::unexpected(order.error()));
  cancel_as_read(std::move(*order), std::move(request.done), now);
}

void Pipeline::Machine::cancel_as_read(domain::Order order,
                                       Done<std::expected<domain::Order, Refusal>> done, Now now) {
  auto advance = cancel(order, now.wall);
  if (!advance) return done(std::unexpected(refusal_of(advance.error())));
  if (!*advance) return done(std::move(order));
  domain::Order after = (*advance)->next;
  steps_.commit(order.version, std::move(**advance),
                [this, now, after = std::move(after), done = std::move(done)](auto result) mutable {
                  if (!result) return done(std::unexpected(refusal_of(result.error())));
                  auto& committed = std::get<ports::CommitResult>(*result);
                  if (committed.outcome == ports::CommitOutcome::stale && committed.current) {
                    // Somebody was faster; the same wish is decided on what is stored by then.
                    return cancel_as_read(std::move(*committed.current), std::move(done), now);
                  }
                  if (committed.outcome != ports::CommitOutcome::committed) {
                    return done(std::unexpected(Refusal::not_found));
                  }
                  done(std::move(after));
                });
}

void Pipeline::Machine::handle(Discard request, Now now) {
  auto order = read_order(parts_.reader, request.order);
  if (!order) return request.done(std::unexpected(order.error()));
  auto advance = discard(*order, now.wall);
  if (!advance) return request.done(std::unexpected(refusal_of(advance.error())));
  domain::Order after = advance->next;
  steps_.commit(order->version, std::move(*advance),
                [after = std::move(after), done = std::move(request.done)](auto result) mutable {
                  if (!result) return done(std::unexpected(refusal_of(result.error())));
                  const auto& committed = std::get<ports::CommitResult>(*result);
                  if (committed.outcome != ports::CommitOutcome::committed) {
                    return done(std::unexpected(Refusal::not_a_dead_letter));
                  }
                  done(std::move(after));
                });
}

void Pipeline::Machine::handle(Redrive request, Now now) {
  std::vector<domain::OrderId> orders;
  if (!request.orders.empty()) {
    std::ranges::sort(request.orders);
    const auto repeated = std::ranges::unique(request.orders);
    request.orders.erase(repeated.begin(), repeated.end());
    for (const domain::OrderId& id : request.orders) {
      const auto order = read_order(parts_.reader, id);
      if (order && is_open_dead_letter(*order)) orders.push_back(id);
    }
  } else {
    request.filter.after.reset();
    request.filter.limit = domain::limits::kMaxPage;
    while (orders.size() < domain::limits::kMaxRedriveBatch) {
      const auto page = parts_.reader.dead_letters(request.filter);
      if (!page) return request.done(std::unexpected(refusal_of(page.error())));
      for (const domain::Order& order : page->orders) {
        if (is_open_dead_letter(order)) orders.push_back(order.id);
      }
      if (!page->next) break;
      request.filter.after = page->next;
    }
  }
  const std::size_t count = orders.size();
  if (redrives_.size() + count > domain::limits::kMaxDeadLetters) {
    return request.done(std::unexpected(Refusal::reduced_capacity));
  }
  if (count > 0) redrives_.add(std::move(orders), request.rate, now);
  request.done(count);
}

void Pipeline::Machine::handle(WaitForEnd request, Now) {
  if (waits_over_) return request.done({});
  const auto order = read_order(parts_.reader, request.order);
  if (!order || is_terminal(order->status)) return request.done({});
  waiters_.add(std::move(request));
}

void Pipeline::Machine::handle(SetStock request, Now) {
  commits_.add(
      ports::SetStock{std::move(request.tenant), std::move(request.product), request.on_hand},
      stock_answer(std::move(request.done)));
}

void Pipeline::Machine::handle(Restock request, Now) {
  commits_.add(
      ports::Restock{std::move(request.tenant), std::move(request.product), request.quantity},
      stock_answer(std::move(request.done)));
}

void Pipeline::Machine::handle(PutContract request, Now) {
  commits_.add(ports::PutContract{.tenant = std::move(request.tenant),
                                  .contract = std::move(request.contract),
                                  .instead_of = std::move(request.instead_of)},
               [done = std::move(request.done)](auto result) mutable {
                 if (!result) return done(std::unexpected(refusal_of(result.error())));
                 switch (std::get<ports::PutOutcome>(*result)) {
                   case ports::PutOutcome::stored:
                     return done(std::monostate{});
                   case ports::PutOutcome::stale:
                     return done(std::unexpected(Refusal::stale));
                   case ports::PutOutcome::too_many_tenants:
                     return done(std::unexpected(Refusal::too_many_tenants));
                 }
               });
}

void Pipeline::Machine::handle(AskProgress request, Now) {
  Progress progress = steps_.progress(request.order, request.stage);
  progress.at_bound = request.stage == domain::Stage::payment && steps_.holds_back(request.tenant);
  request.done(std::move(progress));
}

void Pipeline::Machine::handle(ListUnresolved request, Now) {
  request.done(steps_.unresolved(request.limit));
}

void Pipeline::Machine::handle(AskStatistics request, Now now) {
  request.done(statistics(now));
}

}  // namespace penstock::pipeline
