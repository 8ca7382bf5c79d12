#include "simulation/shared_store.h"

#include <type_traits>
#include <variant>

namespace penstock::simulation {

using ports::StoreError;

SharedStoreClient::SharedStoreClient(SharedDatabase& database, NodeRun run, DatabaseRoad* road)
    : database_(database), run_(run), road_(road), recovery_(database.recovery(run)) {}

Passage SharedStoreClient::leave(CallKind kind) const {
  return road_ == nullptr ? Passage::through : road_->leave(kind);
}

void SharedStoreClient::arrived(CallKind kind) const {
  if (road_ != nullptr) road_->arrived(kind);
}

template <typename Call>
auto SharedStoreClient::call(CallKind kind, Call call) const
    -> std::expected<decltype(call()), StoreError> {
  const Passage passage = leave(kind);
  if (passage == Passage::refused || passage == Passage::request_lost) {
    return std::unexpected(StoreError::unavailable);
  }
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    if (passage != Passage::through) return std::unexpected(StoreError::unavailable);
    arrived(kind);
    return {};
  } else {
    auto answer = call();
    if (passage != Passage::through) return std::unexpected(StoreError::unavailable);
    arrived(kind);
    return answer;
  }
}

std::expected<std::vector<ports::CommandResult>, StoreError> SharedStoreClient::apply(
    std::span<ports::Command> commands, domain::Now) {
  const Passage passage = leave(CallKind::apply);
  switch (passage) {
    case Passage::refused:
      return std::unexpected(StoreError::unavailable);
    case Passage::request_lost:
      return std::unexpected(StoreError::unknown_outcome);
    case Passage::through: {
      auto results = database_.apply(run_, commands);
      arrived(CallKind::apply);
      return results;
    }
    case Passage::answer_lost:
    case Passage::late:
      break;
  }
  // The sender keeps its commands: what goes over the road is a copy.
  std::vector<ports::Command> sent(commands.begin(), commands.end());
  if (passage == Passage::answer_lost) {
    static_cast<void>(database_.apply(run_, sent));
  } else {
    road_->carry_late([&database = database_, run = run_, sent = std::move(sent)]() mutable {
      static_cast<void>(database.apply(run, sent));
    });
  }
  return std::unexpected(StoreError::unknown_outcome);
}

std::expected<std::vector<domain::Order>, StoreError> SharedStoreClient::claim(domain::Stage stage,
                                                                               std::size_t limit,
                                                                               domain::Now) {
  return call(CallKind::claim, [&] { return database_.claim(run_, stage, limit); });
}

std::expected<std::optional<domain::Order>, StoreError> SharedStoreClient::claim_one(
    const domain::OrderId& order) {
  return call(CallKind::claim, [&] { return database_.claim_one(run_, order); });
}

void SharedStoreClient::release(const domain::OrderId& order, domain::Instant due) {
  // Where it gets lost, the lease runs out by itself.
  static_cast<void>(call(CallKind::take, [&] { database_.release(run_, order, due); }));
}

std::expected<void, StoreError> SharedStoreClient::mark(std::span<const domain::OrderId> orders) {
  return call(CallKind::mark, [&] { database_.mark(run_, orders); });
}

std::expected<std::vector<ports::TerminalBatch>, StoreError>
SharedStoreClient::take_terminal_batches(std::size_t limit) {
  return call(CallKind::take, [&] { return database_.take_terminal_batches(run_, limit); });
}

std::expected<std::vector<ports::Delivery>, StoreError> SharedStoreClient::take_deliveries(
    std::size_t limit, domain::Now) {
  return call(CallKind::take, [&] { return database_.take_deliveries(run_, limit); });
}

ports::StoreDepth SharedStoreClient::depth() const {
  if (leave(CallKind::read) == Passage::through) depth_ = database_.depth();
  return depth_;
}

std::optional<domain::Instant> SharedStoreClient::next_due() const {
  if (leave(CallKind::read) == Passage::through) next_due_ = database_.next_due();
  return next_due_;
}

std::expected<void, StoreError> SharedStoreClient::settled() {
  return call(CallKind::mark, [&] { database_.settled(run_); });
}

// A read without an answer is one that was not made.

std::expected<std::optional<ports::StoredOrder>, StoreError> SharedStoreClient::find(
    const domain::OrderId& order) const {
  if (leave(CallKind::read) != Passage::through) return std::unexpected(StoreError::unavailable);
  return database_.find(order);
}

std::expected<ports::OrderPage, StoreError> SharedStoreClient::list(
    const ports::OrderQuery& query) const {
  if (leave(CallKind::read) != Passage::through) return std::unexpected(StoreError::unavailable);
  return database_.reader().list(query);
}

std::expected<ports::OrderPage, StoreError> SharedStoreClient::dead_letters(
    const ports::DeadLetterQuery& query) const {
  if (leave(CallKind::read) != Passage::through) return std::unexpected(StoreError::unavailable);
  return database_.reader().dead_letters(query);
}

std::expected<ports::OrderPage, StoreError> SharedStoreClient::owed_refunds(
    std::optional<domain::OrderId> after, std::size_t limit) const {
  if (leave(CallKind::read) != Passage::through) return std::unexpected(StoreError::unavailable);
  return database_.reader().owed_refunds(after, limit);
}

std::expected<std::optional<domain::Stock>, StoreError> SharedStoreClient::stock(
    const domain::TenantId& tenant, const domain::ProductId& product) const {
  if (leave(CallKind::read) != Passage::through) return std::unexpected(StoreError::unavailable);
  return database_.reader().stock(tenant, product);
}

std::expected<domain::Contract, StoreError> SharedStoreClient::contract(
    const domain::TenantId& tenant) const {
  if (leave(CallKind::read) != Passage::through) return std::unexpected(StoreError::unavailable);
  return database_.reader().contract(tenant);
}

std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, StoreError>
SharedStoreClient::contracts(const domain::TenantId& after, std::size_t limit) const {
  if (leave(CallKind::read) != Passage::through) return std::unexpected(StoreError::unavailable);
  return database_.reader().contracts(after, limit);
}

}  // namespace penstock::simulation
