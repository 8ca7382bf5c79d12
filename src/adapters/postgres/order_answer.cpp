#include "adapters/postgres/order_answer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/order_codec.h"
#include "domain/saga.h"

namespace penstock::postgres_store {
namespace {

using domain::Order;
using ports::AcceptOutcome;
using ports::AcceptResult;
using ports::CommitOutcome;
using ports::CommitResult;

/// The columns of apply_answer.
enum Column {
  kOutcomes,
  kReplays,
  kNow,
  kUsed,
  kTime,
  kRemainder,
  kAt,
  kRate,
  kPeriod,
  kBurst,
  kForceRate,
  kForcePeriod,
  kForceBurst,
  kHeld,
  kActive,
  kFound,
};

/// An array of `size` integers, null elements as nothing; nothing where it is something else. No
/// array at all is one without elements.
std::optional<std::vector<std::optional<std::int64_t>>> integers(const Rows& rows, Column column,
                                                                 std::size_t size) {
  std::vector<std::optional<std::int64_t>> values;
  if (!rows.is_null(0, column)) {
    const auto elements = array_from(rows.bytes(0, column));
    if (!elements) return std::nullopt;
    for (const auto& element : *elements) {
      values.push_back(element ? std::optional(integer_from(*element)) : std::nullopt);
    }
  }
  if (values.size() != size) return std::nullopt;
  return values;
}

}  // namespace

std::optional<OrderAnswer> OrderAnswer::from(const Rows& rows, Sizes sizes) {
  if (rows.size() == 0 || rows.is_null(0, kNow)) return std::nullopt;
  OrderAnswer answer;
  const auto outcomes = integers(rows, kOutcomes, sizes.commands);
  const auto replays = array_from(rows.bytes(0, kReplays));
  if (!outcomes || !replays || replays->size() != sizes.commands) return std::nullopt;
  for (const auto& outcome : *outcomes) {
    if (!outcome) return std::nullopt;
    answer.outcomes_.push_back(static_cast<Outcome>(*outcome));
  }
  const auto held = array_from(rows.bytes(0, kHeld));
  if (!held || held->size() != sizes.commands || rows.is_null(0, kActive)) return std::nullopt;
  for (const auto& each : *held) answer.held_.push_back(each == "\1");
  answer.active_ = static_cast<std::size_t>(rows.integer(0, kActive));
  answer.asks_back_ = std::ranges::any_of(answer.outcomes_, [](Outcome outcome) {
    return outcome == Outcome::replayed || outcome == Outcome::stale;
  });
  for (const auto& replay : *replays) {
    answer.replays_.push_back(replay ? std::optional(order_id_from(*replay)) : std::nullopt);
  }
  answer.now_ = {rows.integer(0, kNow)};
  if (!answer.read_buckets(rows, sizes.tenants)) return std::nullopt;
  for (std::size_t row = 1; row < rows.size(); ++row) {
    if (rows.is_null(row, kFound)) return std::nullopt;
    const auto fields = composite_from(rows.bytes(row, kFound));
    auto order = fields ? decode_order(*fields) : std::nullopt;
    if (!order) return std::nullopt;
    const domain::OrderId id = order->id;
    answer.orders_.emplace(id, *std::move(order));
  }
  return answer;
}

bool OrderAnswer::read_buckets(const Rows& rows, std::size_t tenants) {
  std::vector<std::vector<std::optional<std::int64_t>>> columns;
  for (int column = kUsed; column <= kForceBurst; ++column) {
    auto values = integers(rows, static_cast<Column>(column), tenants);
    if (!values) return false;
    columns.push_back(*std::move(values));
  }
  for (std::size_t tenant = 0; tenant < tenants; ++tenant) {
    const auto value = [&](Column column) {
      return columns[static_cast<std::size_t>(column - kUsed)][tenant].value_or(0);
    };
    const domain::BucketContract in_force{
        .rate = {.micro_tokens = value(kForceRate), .period_ns = value(kForcePeriod)},
        .burst = value(kForceBurst)};
    if (!columns[0][tenant]) {
      buckets_.emplace_back(in_force, now_);
      continue;
    }
    const domain::BucketContract stored{
        .rate = {.micro_tokens = value(kRate), .period_ns = value(kPeriod)},
        .burst = value(kBurst)};
    auto bucket = domain::TokenBucket::restore(
        stored,
        {.used = value(kUsed), .virtual_time = value(kTime), .remainder = value(kRemainder)},
        {value(kAt)}, 0);
    bucket.set_contract(in_force, now_);
    buckets_.push_back(bucket);
  }
  return true;
}

void OrderAnswer::remember(const Order& order) {
  if (asks_back_) orders_.insert_or_assign(order.id, order);
}

std::optional<Order> OrderAnswer::known(const domain::OrderId& id) {
  const auto found = orders_.find(id);
  if (found == orders_.end()) {
    is_whole_ = false;
    return std::nullopt;
  }
  return found->second;
}

ports::CommandResult OrderAnswer::accept(std::size_t command, std::size_t tenant,
                                         ports::Accept& accept) {
  domain::TokenBucket& bucket = buckets_[tenant];
  AcceptResult result{.outcome = AcceptOutcome::full,
                      .order = std::nullopt,
                      .take = {},
                      .contract = bucket.contract()};
  const auto store = [&](Order order) {
    result.outcome = AcceptOutcome::accepted;
    result.take = bucket.take(1, now_);
    remember(order);
    if (held_[command]) held_orders_.push_back(order);
    result.order = std::move(order);
  };
  switch (outcomes_[command]) {
    case Outcome::accepted:
      store(std::move(accept.commit.next));
      break;
    case Outcome::accepted_unknown_product:
      store(domain::reject_instead(std::move(accept.commit.next), domain::Reason::unknown_product));
      break;
    case Outcome::accepted_short:
      store(domain::reject_instead(std::move(accept.commit.next),
                                   domain::Reason::insufficient_stock));
      break;
    case Outcome::replayed:
      result.outcome = AcceptOutcome::replayed;
      if (replays_[command]) result.order = known(*replays_[command]);
      break;
    case Outcome::key_reused:
      result.outcome = AcceptOutcome::key_reused;
      break;
    case Outcome::denied:
      result.outcome = AcceptOutcome::denied;
      result.take = domain::TokenBucket(bucket).take(1, now_);
      // Where the contract grew between the server's two looks, the next try finds the tokens.
      result.take.outcome = domain::Take::denied;
      break;
    default:
      break;
  }
  return result;
}

ports::CommandResult OrderAnswer::commit(std::size_t command, ports::Commit& commit) {
  const domain::OrderId id = commit.next.id;
  const auto reject = [&](domain::Reason reason) {
    Order rejected = domain::reject_instead(std::move(commit.next), reason);
    remember(rejected);
    return CommitResult{.outcome = CommitOutcome::short_of_stock, .current = std::move(rejected)};
  };
  switch (outcomes_[command]) {
    case Outcome::committed:
      remember(commit.next);
      return CommitResult{};
    case Outcome::unknown_product:
      return reject(domain::Reason::unknown_product);
    case Outcome::short_of_stock:
      return reject(domain::Reason::insufficient_stock);
    case Outcome::stale:
      return CommitResult{.outcome = CommitOutcome::stale, .current = known(id)};
    default:
      return CommitResult{.outcome = CommitOutcome::missing, .current = std::nullopt};
  }
}

ports::CommandResult OrderAnswer::peek(std::size_t tenant) {
  const domain::TokenBucket& bucket = buckets_[tenant];
  AcceptResult result{.outcome = AcceptOutcome::accepted,
                      .order = std::nullopt,
                      .take = domain::TokenBucket(bucket).take(0, now_),
                      .contract = bucket.contract()};
  if (result.take.remaining == 0) result.outcome = AcceptOutcome::denied;
  return result;
}

}  // namespace penstock::postgres_store
