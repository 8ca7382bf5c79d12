#include "simulation/shared_store.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <type_traits>
#include <utility>
#include <variant>

#include "domain/check.h"

namespace penstock::simulation {

using domain::Order;
using domain::Stage;
using ports::StoreError;
using postgres_store::BatchSplit;
using postgres_store::Holding;

namespace {

/// As in `penstock serve`: how long a stage is left alone that had no more.
constexpr std::chrono::milliseconds kEmptyPause{50};
constexpr std::size_t kConnections = 2;

/// Places of the first `at_most` accepts whose orders wait for `stage` at once.
std::vector<std::size_t> places_to_hold(std::span<const ports::Command> commands, Stage stage,
                                        std::size_t at_most) {
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < commands.size() && places.size() < at_most; ++place) {
    const auto* accept = std::get_if<ports::Accept>(&commands[place]);
    if (accept == nullptr) continue;
    const Order& next = accept->commit.next;
    const bool is_due = next.due <= next.updated_at;
    if (is_due && domain::stage_of(next.status) == stage) places.push_back(place);
  }
  return places;
}

}  // namespace

SharedStoreClient::SharedStoreClient(SharedDatabase& database, NodeRun run, DatabaseRoad* road,
                                     Writing writing)
    : database_(database),
      run_(run),
      road_(road),
      writing_(writing),
      recovery_(database.recovery(run)) {
  depth_.active = recovery_.active;
}

SharedStoreClient::HeldOrders::Clock::time_point SharedStoreClient::uptime() const {
  const domain::MonotonicTime shown =
      road_ == nullptr ? database_.now().monotonic : road_->uptime();
  return HeldOrders::Clock::time_point(std::chrono::nanoseconds(shown.ns));
}

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
auto SharedStoreClient::call_once(CallKind kind, Call call) const
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

template <typename Call>
auto SharedStoreClient::call(CallKind kind, Call call) const
    -> std::expected<decltype(call()), StoreError> {
  if (auto sent = send_releases(); !sent) return std::unexpected(sent.error());
  return call_once(kind, std::move(call));
}

// Where they get lost, the leases run out by themselves.
std::expected<void, StoreError> SharedStoreClient::send_releases() const {
  if (releases_.empty()) return {};
  const std::vector<Release> sent = std::exchange(releases_, {});
  return call_once(CallKind::take, [&] {
    for (const auto& [order, due] : sent) database_.release(run_, order, due);
  });
}

void SharedStoreClient::release(const domain::OrderId& order, domain::Instant due) {
  if (road_ != nullptr) due = road_->database_time_of(due);
  releases_.emplace_back(order, due);
  if (releases_.size() >= postgres_store::kMaxPendingReleases) static_cast<void>(send_releases());
}

void SharedStoreClient::give_back(std::span<const Order> orders) {
  for (const Order& order : orders) release(order.id, order.due);
}

// --- Batches ---------------------------------------------------------------------------------

std::expected<std::vector<ports::CommandResult>, StoreError> SharedStoreClient::apply(
    std::span<ports::Command> commands, domain::Now) {
  held_.drop_changed(commands);
  const auto hold_stage = writing_.holding == Holding::accepted
                              ? postgres_store::stage_of_accepts(commands)
                              : std::nullopt;
  BatchSplit split(
      commands, {.parts = parts_for(commands.size()), .least_batch = writing_.least_split_batch});
  const std::vector<Part> parts = parts_of(split, hold_stage);
  PartOutcomes outcomes;
  for (const Part& part : parts) outcomes.add(commit(part, parts.size() == 1));
  outcomes.finish_what_was_begun([&](std::size_t part) {
    database_.hit(Probe::part_done_again);
    return commit(parts[part], false);
  });
  const bool is_part_done = outcomes.done() > 0;
  auto answers = std::move(outcomes).together();
  if (!answers) {
    split.restore(commands);
    const StoreError error = answers.error().error;
    if (error == StoreError::unknown_outcome) give_back_unheard(parts);
    if (is_part_done) database_.hit(Probe::part_landed_alone);
    const bool denies = is_part_done && database_.options().flaw == Flaw::denies_parts;
    return std::unexpected(denies ? StoreError::unavailable : error);
  }
  releases_.clear();
  if (parts.size() > 1) database_.hit(Probe::batch_divided);
  std::vector<std::vector<ports::CommandResult>> results;
  for (Applied& answer : *answers) {
    results.push_back(std::move(answer.results));
    for (Order& order : answer.held) held_.add(std::move(order), uptime());
  }
  return split.merge(std::move(results));
}

// Behind the bound on the depth each connection alone would count what the other does not show yet.
std::size_t SharedStoreClient::parts_for(std::size_t commands) const {
  const bool may_divide = writing_.least_split_batch > 0 &&
                          depth_.active + 2 * commands < database_.options().max_active;
  return may_divide ? kConnections : 1;
}

std::vector<SharedStoreClient::Part> SharedStoreClient::parts_of(
    BatchSplit& split, std::optional<Stage> hold_stage) const {
  const std::size_t room = hold_stage ? held_.room(*hold_stage) : 0;
  std::vector<Part> parts(split.size());
  for (std::size_t number = 0; number < parts.size(); ++number) {
    parts[number].commands = split.part(number);
    if (room == 0) continue;
    parts[number].to_hold =
        places_to_hold(parts[number].commands, *hold_stage, room / parts.size());
  }
  parts.front().releases = releases_;
  return parts;
}

SharedStoreClient::PartOutcomes::Outcome SharedStoreClient::commit(const Part& part,
                                                                   bool is_alone) {
  const Passage passage = leave(CallKind::apply);
  if (passage == Passage::refused) return std::unexpected(Loss{StoreError::unavailable});
  if (passage == Passage::request_lost) return std::unexpected(Loss{StoreError::unknown_outcome});
  if (passage == Passage::through && is_alone) {
    Applied applied = carry_out(database_, run_, part);
    const Heard heard = arrived(CallKind::apply, passage);
    PENSTOCK_CHECK(heard == Heard::yes, "an answer that is at once there is not cut off");
    return applied;
  }
  // The sender keeps its commands: what goes over the road is a copy.
  std::vector<ports::Command> sent(part.commands.begin(), part.commands.end());
  Part copy{.commands = sent, .to_hold = part.to_hold, .releases = part.releases};
  if (passage == Passage::late) {
    road_->carry_late([&database = database_, run = run_, sent = std::move(sent),
                       copy = std::move(copy)]() mutable {
      copy.commands = sent;
      static_cast<void>(carry_out(database, run, copy));
    });
    return std::unexpected(Loss{StoreError::unknown_outcome});
  }
  Applied applied = carry_out(database_, run_, copy);
  if (arrived(CallKind::apply, passage) == Heard::no) {
    return std::unexpected(Loss{StoreError::unknown_outcome});
  }
  return applied;
}

Applied SharedStoreClient::carry_out(SharedDatabase& database, const NodeRun& run,
                                     const Part& part) {
  Applied applied = database.apply(run, part.commands, part.to_hold);
  // Behind the commands: a commit that ends its lease makes a release without effect.
  for (const auto& [order, due] : part.releases) database.release(run, order, due);
  return applied;
}

// Whatever landed of it is leased to this node, which does not know of it.
void SharedStoreClient::give_back_unheard(std::span<const Part> parts) {
  for (const Part& part : parts) {
    if (!part.to_hold.empty()) database_.hit(Probe::held_unheard);
    for (const std::size_t place : part.to_hold) {
      const Order& order = std::get<ports::Accept>(part.commands[place]).commit.next;
      release(order.id, order.due);
    }
  }
}

// --- Work ------------------------------------------------------------------------------------

std::expected<std::vector<Order>, StoreError> SharedStoreClient::claim_within(
    Stage stage, std::size_t limit, ports::ClaimPlaces* places, domain::Now) {
  const auto now = uptime();
  const std::vector<Order> unwanted =
      held_.take_older_than(now - std::chrono::microseconds(postgres_store::kMaxHeldFor.us));
  if (!unwanted.empty()) database_.hit(Probe::held_given_back);
  give_back(unwanted);
  std::vector<Order> held = held_.take(stage, limit);
  if (places != nullptr) give_back(postgres_store::beyond_shares(held, *places, *this));
  limit -= held.size();
  auto& ask_again = ask_again_.at(static_cast<std::size_t>(stage));
  if (limit == 0 || (!held.empty() && now < ask_again)) {
    if (!held.empty()) database_.hit(Probe::held_handed_out);
    held_.wanted(stage, limit);
    return held;
  }
  auto claimed = call(CallKind::claim, [&] { return database_.claim(run_, stage, limit, places); });
  if (!claimed) {
    give_back(held);
    return claimed;
  }
  if (claimed->size() < limit) ask_again = now + kEmptyPause;
  held_.wanted(stage, limit - claimed->size());
  std::ranges::move(*claimed, std::back_inserter(held));
  return held;
}

std::expected<std::optional<Order>, StoreError> SharedStoreClient::claim_one(
    const domain::OrderId& order) {
  if (auto held = held_.take_one(order)) return held;
  return call(CallKind::claim, [&] { return database_.claim_one(run_, order); });
}

std::expected<void, StoreError> SharedStoreClient::mark(std::span<const domain::OrderId> orders) {
  return call(CallKind::mark, [&] { database_.mark(run_, orders); });
}

std::expected<std::vector<ports::TerminalBatch>, StoreError>
SharedStoreClient::take_terminal_batches(std::size_t limit) {
  return call(CallKind::take, [&] { return database_.take_terminal_batches(run_, limit); });
}

std::expected<std::vector<ports::Delivery>, StoreError> SharedStoreClient::take_deliveries(
    std::size_t limit, domain::Now, std::span<const domain::TenantId> left_out) {
  return call(CallKind::take, [&] { return database_.take_deliveries(run_, limit, left_out); });
}

ports::StoreDepth SharedStoreClient::depth() const {
  if (!send_releases() || !reads()) return depth_;
  depth_ = database_.depth();
  for (std::size_t stage = 0; stage < depth_.stages.size(); ++stage) {
    // What is held waits for this process's next claim: leased it is for the others.
    const std::size_t held =
        std::min(depth_.stages[stage].leased, held_.size(static_cast<Stage>(stage)));
    depth_.stages[stage].leased -= held;
    depth_.stages[stage].ready += held;
  }
  return depth_;
}

std::optional<domain::Instant> SharedStoreClient::next_due() const {
  if (!send_releases() || !reads()) return next_due_;
  next_due_ = database_.next_due();
  if (next_due_ && road_ != nullptr) next_due_ = road_->shown_at(*next_due_);
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

domain::Standing SharedStoreClient::standing(const domain::TenantId& tenant) const {
  return database_.reader().standing(tenant);
}

std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, StoreError>
SharedStoreClient::contracts(const domain::TenantId& after, std::size_t limit) const {
  if (!reads()) return std::unexpected(StoreError::unavailable);
  return database_.reader().contracts(after, limit);
}

}  // namespace penstock::simulation
