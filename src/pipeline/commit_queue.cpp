#include "pipeline/commit_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "domain/check.h"

namespace penstock::pipeline {
namespace {

constexpr domain::Duration kPauseWithoutAStore = domain::Duration::milliseconds(100);

bool may_be_retried(ports::StoreError error) {
  return error == ports::StoreError::unavailable || error == ports::StoreError::unknown_outcome;
}

/// Only what an effect led to must not be lost; a client can ask again.
bool must_be_kept(const ports::Command& command) {
  return std::holds_alternative<ports::Commit>(command) ||
         std::holds_alternative<ports::FinishTerminalBatch>(command) ||
         std::holds_alternative<ports::DeliveryAttempt>(command);
}

/// The events that `commit` adds to its order.
std::vector<domain::Event> new_events(const ports::Commit& commit) {
  const std::vector<domain::Event>& timeline = commit.next.timeline;
  return {timeline.begin() + commit.read.number, timeline.end()};
}

/// True if `timeline` has `events` at their versions.
bool holds(const std::vector<domain::Event>& timeline, const std::vector<domain::Event>& events) {
  return std::ranges::all_of(events, [&](const domain::Event& event) {
    const std::size_t place = event.version.number - 1;
    return place < timeline.size() && timeline[place] == event;
  });
}

/// What a store writes that finds an item short while it reserves (domain::reject_instead).
std::vector<domain::Event> rejected_instead(std::vector<domain::Event> events,
                                            domain::Reason reason) {
  events.back().to = domain::Status::rejected;
  events.back().reason = reason;
  return events;
}

}  // namespace

void CommitQueue::add(ports::Command&& command, Then&& then) {
  if (failure_) {
    then(std::unexpected(*failure_));
    return;
  }
  waiting_.emplace_back(std::move(command), std::move(then));
}

void CommitQueue::fill_batch(std::size_t count) {
  batch_.clear();
  thens_.clear();
  asked_.clear();
  traces_.clear();
  for (std::size_t index = 0; index < count; ++index) {
    Waiting& next = waiting_.front();
    if (next.asked == Asked::without_answer) {
      if (const auto* commit = std::get_if<ports::Commit>(&next.command)) {
        traces_.push_back({index, commit->stock, new_events(*commit)});
      }
    }
    batch_.push_back(std::move(next.command));
    thens_.push_back(std::move(next.then));
    asked_.push_back(next.asked);
    waiting_.pop_front();
  }
}

void CommitQueue::take_from_aside(domain::Instant now) {
  if (aside_.empty() || now < aside_until_) return;
  std::ranges::move(aside_, std::back_inserter(waiting_));
  aside_.clear();
}

void CommitQueue::put_aside(std::size_t index, Then then, ports::StoreError error,
                            domain::Instant now) {
  if (!must_be_kept(batch_[index])) {
    then(std::unexpected(error));
    return;
  }
  if (aside_.empty()) aside_until_ = now + kPauseAside;
  const Asked asked =
      error == ports::StoreError::unknown_outcome ? Asked::without_answer : asked_[index];
  aside_.push_back({std::move(batch_[index]), std::move(then), asked});
}

void CommitQueue::flush(domain::Now now) {
  take_from_aside(now.wall);
  if (waiting_.empty() || failure_ || now.wall < retry_at_) return;
  const std::size_t count = std::min(max_batch_, waiting_.size());
  fill_batch(count);
  auto results = store_.apply(batch_, now);
  if (!results) {
    if (may_be_retried(results.error())) {
      put_back(results.error(), now.wall);
    } else {
      stop(results.error());
    }
    return;
  }
  PENSTOCK_CHECK(results->size() == count, "one result a command");
  batches_ += 1;
  commands_ += count;
  recognize_landed(*results);
  // Moved out first: a result may add commands, and those must not disturb this walk.
  std::vector<Then> thens = std::move(thens_);
  for (std::size_t index = 0; index < count; ++index) {
    ports::CommandResult& result = (*results)[index];
    if (const auto* not_done = std::get_if<ports::CommandNotDone>(&result)) {
      put_aside(index, std::move(thens[index]), not_done->error, now.wall);
    } else {
      thens[index](std::move(result));
    }
  }
  thens_ = std::move(thens);
}

// "Stale" because of our own commit, whose answer was lost, is no interference. The record may have
// moved on since; the events stay.
void CommitQueue::recognize_landed(std::vector<ports::CommandResult>& results) const {
  for (const Trace& trace : traces_) {
    auto* const told = std::get_if<ports::CommitResult>(&results[trace.index]);
    if (told == nullptr) continue;
    ports::CommitResult& result = *told;
    if (result.outcome != ports::CommitOutcome::stale || !result.current) continue;
    const std::vector<domain::Event>& timeline = result.current->timeline;
    if (holds(timeline, trace.events)) {
      result = {};
    } else if (trace.stock == domain::StockMove::reserve &&
               holds(timeline, rejected_instead(trace.events, result.current->reason))) {
      result.outcome = ports::CommitOutcome::short_of_stock;
    }
  }
}

void CommitQueue::stop(ports::StoreError error) {
  failure_ = error;
  for (Then& then : thens_) then(std::unexpected(error));
  while (!waiting_.empty()) {
    Then then = std::move(waiting_.front().then);
    waiting_.pop_front();
    then(std::unexpected(error));
  }
  for (Waiting& each : aside_) each.then(std::unexpected(error));
  aside_.clear();
}

void CommitQueue::put_back(ports::StoreError error, domain::Instant now) {
  retry_at_ = now + kPauseWithoutAStore;
  std::vector<Then> dropped;
  for (std::size_t index = batch_.size(); index-- > 0;) {
    if (!must_be_kept(batch_[index])) {
      dropped.push_back(std::move(thens_[index]));
      continue;
    }
    // Once it may have landed, that stays so, whatever is said of a later try.
    const Asked asked =
        error == ports::StoreError::unknown_outcome ? Asked::without_answer : asked_[index];
    waiting_.push_front({std::move(batch_[index]), std::move(thens_[index]), asked});
  }
  for (std::size_t index = dropped.size(); index-- > 0;) dropped[index](std::unexpected(error));
}

}  // namespace penstock::pipeline
