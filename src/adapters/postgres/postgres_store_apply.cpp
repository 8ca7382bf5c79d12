#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "adapters/postgres/batch.h"
#include "adapters/postgres/batch_split.h"
#include "adapters/postgres/postgres_store.h"
#include "domain/check.h"

namespace penstock::postgres_store {
namespace {

using domain::Order;
using ports::StoreError;

/// Transactions that a batch may be divided into to find what the database refuses of it.
constexpr int kMaxDivisions = 64;

constexpr std::uint32_t kDeliveriesBit = 1U << (domain::kStages + 1);

std::uint32_t bit_of(domain::Status status) {
  const auto stage = domain::stage_of(status);
  return 1U << static_cast<unsigned>(stage.value_or(domain::Stage::notification));
}

/// The stages that orders wait for once the commits of `commands` are stored, each as the bit of
/// its number, and whether deliveries do.
std::uint32_t work_of(std::span<const ports::Command> commands) {
  std::uint32_t stages = 0;
  for (const ports::Command& command : commands) {
    if (const auto* finish = std::get_if<ports::FinishTerminalBatch>(&command)) {
      if (!finish->deliveries.empty()) stages |= kDeliveriesBit;
    }
    if (const auto* commit = std::get_if<ports::Commit>(&command)) {
      stages |= bit_of(commit->next.status);
    }
  }
  return stages;
}

/// The stages that accepted orders wait for, but for what this node holds.
std::uint32_t work_of_accepted(std::span<const ports::CommandResult> results,
                               std::span<const Order> held) {
  std::map<std::uint32_t, std::ptrdiff_t> waiting;
  for (const ports::CommandResult& result : results) {
    const auto* accept = std::get_if<ports::AcceptResult>(&result);
    if (accept == nullptr || accept->outcome != ports::AcceptOutcome::accepted) continue;
    if (!accept->order) continue;  // a look at a bucket
    waiting[bit_of(accept->order->status)] += 1;
  }
  for (const Order& order : held) waiting[bit_of(order.status)] -= 1;
  std::uint32_t stages = 0;
  for (const auto& [bit, orders] : waiting) stages |= orders > 0 ? bit : 0;
  return stages;
}

}  // namespace

std::expected<std::vector<ports::CommandResult>, StoreError> PostgresStore::apply(
    std::span<ports::Command> commands, domain::Now) {
  PENSTOCK_CHECK(commands.size() <= domain::limits::kMaxBatch, "a batch is bounded");
  if (stopped_) return std::unexpected(*stopped_);
  if (commands.empty()) return std::vector<ports::CommandResult>{};
  // Before the results, which move from the commands.
  const std::uint32_t work = work_of(commands);
  held_.drop_changed(commands);
  const auto hold_stage =
      options_.holding == Holding::accepted ? stage_of_accepts(commands) : std::nullopt;
  BatchSplit split(
      commands, {.parts = parts_for(commands.size()), .least_batch = options_.least_split_batch});
  const auto rooms = tenant_rooms(commands);
  std::vector<Batch> batches = batches_of(split, hold_stage, rooms ? &*rooms : nullptr);
  auto results = carry_out(batches, split);
  if (!results) {
    split.restore(commands);
    return std::unexpected(results.error());
  }
  auto merged = split.merge(*std::move(results));
  active_shares_.end(merged);
  take_note_of(batches, merged, work);
  return merged;
}

std::expected<std::vector<std::vector<ports::CommandResult>>, StoreError> PostgresStore::carry_out(
    std::vector<Batch>& batches, BatchSplit& split) {
  std::vector<std::vector<Call>> parts;
  std::vector<std::size_t> answers;
  for (const Batch& batch : batches) {
    parts.push_back(batch.calls());
    answers.push_back(parts.back().size());
  }
  // Behind the commands: a commit that ends its lease makes a release without effect.
  if (auto release = release_call()) parts.front().push_back(*std::move(release));
  const auto done = lanes_.commit(std::move(parts));
  if (!done) {
    const auto& rows = done;
    if (rows.error().error == StoreError::unknown_outcome) {
      // Whatever landed of it is leased to this node, which does not know of it.
      const auto give_back = [this](const Order& order) {
        if (releases_.size() < kMaxPendingReleases) releases_.emplace_back(order.id, order.due);
      };
      for (const Batch& batch : batches) batch.for_each_to_hold(give_back);
    }
    return std::unexpected(note(rows.error()));
  }
  const auto was_done = [](const WriterLanes::PartAnswer& part) { return !part.refusal; };
  // With the first part what it was to release was refused, and is sent again.
  if (was_done(done->front())) releases_.clear();
  Division division{.tries = kMaxDivisions, .any_done = std::ranges::any_of(*done, was_done)};
  probe_due_ =
      std::chrono::steady_clock::now() + std::chrono::microseconds(options_.probe_every.us);
  std::vector<std::vector<ports::CommandResult>> results;
  for (std::size_t part = 0; part < batches.size(); ++part) {
    const WriterLanes::PartAnswer& answer = done->at(part);
    if (answer.refusal) {
      results.push_back(divide(split.part(part), *answer.refusal, division));
      last_failure_ = answer.refusal->text();
      if (stopped_) return std::unexpected(*stopped_);
      // Nothing was done: the commands are as they were.
      if (!division.any_done && answer.refusal->sql_state.starts_with("42")) {
        session().leave(*answer.refusal);
        return std::unexpected(StoreError::unavailable);
      }
      continue;
    }
    auto told = batches[part].results(std::span(answer.rows).first(answers[part]));
    if (!told) return std::unexpected(note_corrupt("the answer to a batch has another form"));
    results.push_back(*std::move(told));
  }
  return results;
}

std::vector<ports::CommandResult> PostgresStore::divide(std::span<ports::Command> commands,
                                                        const Failure& refusal,
                                                        Division& division) {
  std::vector<ports::CommandResult> results;
  if (commands.size() == 1 || division.tries <= 0) {
    results.assign(commands.size(), ports::CommandNotDone{});
    if (commands.size() == 1 && options_.command_refused) {
      options_.command_refused(commands.front(), refusal);
    }
    return results;
  }
  const std::size_t half = commands.size() / 2;
  for (const std::span<ports::Command> part : {commands.first(half), commands.subspan(half)}) {
    std::ranges::move(do_alone(part, division), std::back_inserter(results));
  }
  return results;
}

std::vector<ports::CommandResult> PostgresStore::do_alone(std::span<ports::Command> commands,
                                                          Division& division) {
  division.tries -= 1;
  Batch batch(commands, options_,
              {.types = session().types(),
               .counter = options_.node,
               .hold_stage = std::nullopt,
               .hold_at_most = 0});
  const std::vector<Call> calls = batch.calls();
  const auto rows = session().commit(calls);
  if (rows) {
    division.any_done = true;
    auto told = batch.results(std::span(*rows).first(calls.size()));
    if (told) return *std::move(told);
    note_corrupt("the answer to a batch has another form");
  } else if (rows.error().error == StoreError::unavailable && rows.error().is_refusal()) {
    return divide(commands, rows.error(), division);
  }
  const StoreError error = rows ? StoreError::unknown_outcome : note(rows.error());
  if (error == StoreError::unknown_outcome) division.any_done = true;
  return std::vector<ports::CommandResult>(commands.size(), ports::CommandNotDone{error});
}

void PostgresStore::take_note_of(std::vector<Batch>& batches,
                                 std::span<const ports::CommandResult> results,
                                 std::uint32_t work) {
  std::vector<Order> held;
  for (Batch& batch : batches) {
    if (const auto active = batch.active()) active_seen_ = *active + results.size();
    std::ranges::move(batch.take_held(), std::back_inserter(held));
  }
  work |= work_of_accepted(results, held);
  news_ |= work;
  if (options_.work_stored && (work & ~kDeliveriesBit) != 0) {
    options_.work_stored(work & ~kDeliveriesBit);
  }
  const auto now = HeldOrders::Clock::now();
  for (Order& order : held) held_.add(std::move(order), now);
}

void PostgresStore::give_back(std::span<const Order> orders) {
  for (const Order& order : orders) release(order.id, order.due);
}

// Behind the bound on the depth each connection alone would count what the others do not show yet.
std::size_t PostgresStore::parts_for(std::size_t commands) const {
  return active_seen_ + 2 * commands < options_.max_active ? lanes_.usable() : 1;
}

std::vector<Batch> PostgresStore::batches_of(BatchSplit& split,
                                             std::optional<domain::Stage> hold_stage,
                                             const ActiveShares::TenantRooms* tenant_rooms) {
  // The types' ids are known once there was a connection, and are the same for every later one.
  CallContext context{.types = session().types(),
                      .counter = {},
                      .hold_stage = hold_stage,
                      .hold_at_most = 0,
                      .tenant_rooms = tenant_rooms};
  const std::size_t room = hold_stage ? held_.room(*hold_stage) : 0;
  std::vector<Batch> batches;
  batches.reserve(split.size());
  for (std::size_t part = 0; part < split.size(); ++part) {
    context.counter = part == 0 ? options_.node : options_.node + '/' + std::to_string(part + 1);
    context.hold_at_most = room / split.size();
    batches.emplace_back(split.part(part), options_, context);
  }
  return batches;
}

}  // namespace penstock::postgres_store
