#include "simulation/shared_store.h"

#include <type_traits>
#include <variant>

#include "domain/check.h"

namespace penstock::simulation {

using ports::StoreError;

SharedStoreClient::SharedStoreClient(SharedDatabase& database, NodeRun run, DatabaseRoad* road)
    : database_(database), run_(run), road_(road), recovery_(database.recovery(run)) {}

Passage SharedStoreClient::leave(CallKind kind) const {
  return road_ == nullptr ? Passage::through : road_->leave(kind);
}

Heard SharedStoreClient::arrived(CallKind kind, Passage passage) const {
  if (passage != Passage::through && passage != Passage::slow_answer) return Heard::no;
  return road_ == nullptr ? Heard::yes : road_->arrived(kind, passage);
}

// A read without an answer is one that was not made.
bool SharedStoreClient::reads() const {
  const Passage passage = leave(CallKind::read);
  return passage == Passage::through || passage == Passage::slow_answer;
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
    if (arrived(kind, passage) == Heard::no) return std::unexpected(StoreError::unavailable);
    return {};
  } else {
    auto answer = call();
    if (arrived(kind, passage) == Heard::no) return std::unexpected(StoreError::unavailable);
    return answer;
  }
}

std::expected<std::vector<ports::CommandResult>, StoreError> SharedStoreClient::apply(
    std::span<ports::Command> commands, domain::Now) {
  const Passage passage = leave(CallKind::apply);
  if (passage == Passage::refused) return std::unexpected(StoreError::unavailable);
  if (passage == Passage::request_lost) return std::unexpected(StoreError::unknown_outcome);
  if (passage == Passage::through) {
    auto results = database_.apply(run_, commands);
    const Heard heard = arrived(CallKind::apply, passage);
    PENSTOCK_CHECK(heard == Heard::yes, "an answer that is at once there is not cut off");
    return results;
  }
  // The sender keeps its commands: what goes over the road is a copy.
  std::vector<ports::Command> sent(commands.begin(), commands.end());
  if (passage == Passage::late) {
    road_->carry_late([&database = database_, run = run_, sent = std::move(sent)]() mutable {
      static_cast<void>(database.apply(run, sent));
    });
    return std::unexpected(StoreError::unknown_outcome);
  }
  auto results = database_.apply(run_, sent);
  if (arrived(CallKind::apply, passage) == Heard::no) {
    return std::unexpected(StoreError::unknown_outcome);
  }
  return results;
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
  if (road_ != nullptr) due = road_->database_time_of(due);
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
  if (reads()) depth_ = database_.depth();
  return depth_;
}

std::optional<domain::Instant> SharedStoreClient::next_due() const {
  if (reads()) {
    next_due_ = database_.next_due();
    if (next_due_ && road_ != nullptr) next_due_ = road_->shown_at(*next_due_);
  }
  return next_due_;
}

std::expected<void, StoreError> SharedStoreClient::settled() {
  return call(CallKind::mark, [&] { database_.settled(run_); });
}

std::expected<std::optional<ports::StoredOrder>, StoreError> SharedStoreClient::find(
    const domain::OrderId& order) const {
  if (!reads()) return std::unexpected(StoreError::unavailable);
  return database_.find(order);
}

std::expected<ports::OrderPage, StoreError> SharedStoreClient::list(
    const ports::OrderQuery& query) const {
  if (!reads()) return std::unexpected(StoreError::unavailable);
  return database_.reader().list(query);
}

std::expected<ports::OrderPage, StoreError> SharedStoreClient::dead_letters(
    const ports::DeadLetterQuery& query) const {
  if (!reads()) return std::unexpected(StoreError::unavailable);
  return database_.reader().dead_letters(query);
}

std::expected<ports::OrderPage, StoreError> SharedStoreClient::owed_refunds(
    std::optional<domain::OrderId> after, std::size_t limit) const {
  if (!reads()) return std::unexpected(StoreError::unavailable);
  return database_.reader().owed_refunds(after, limit);
}

std::expected<std::optional<domain::Stock>, StoreError> SharedStoreClient::stock(
    const domain::TenantId& tenant, const domain::ProductId& product) const {
  if (!reads()) return std::unexpected(StoreError::unavailable);
  return database_.reader().stock(tenant, product);
}

std::expected<domain::Contract, StoreError> SharedStoreClient::contract(
    const domain::TenantId& tenant) const {
  if (!reads()) return std::unexpected(StoreError::unavailable);
  return database_.reader().contract(tenant);
}

std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, StoreError>
SharedStoreClient::contracts(const domain::TenantId& after, std::size_t limit) const {
  if (!reads()) return std::unexpected(StoreError::unavailable);
  return database_.reader().contracts(after, limit);
}

}  // namespace penstock::simulation
