#include "pipeline/commit_queue.h"

#include <algorithm>
#include <utility>

#include "domain/check.h"

namespace penstock::pipeline {
namespace {

constexpr domain::Duration kPauseWhenUnavailable = domain::Duration::milliseconds(100);

/// Only what an effect led to must not be lost; a client can ask again.
bool must_be_kept(const ports::Command& command) {
  return std::holds_alternative<ports::Commit>(command) ||
         std::holds_alternative<ports::FinishTerminalBatch>(command) ||
         std::holds_alternative<ports::DeliveryAttempt>(command);
}

}  // namespace

void CommitQueue::add(ports::Command command, Then then) {
  if (failure_) {
    then(std::unexpected(*failure_));
    return;
  }
  waiting_.push_back({std::move(command), std::move(then)});
}

void CommitQueue::flush(domain::Now now) {
  if (waiting_.empty() || failure_ || now.wall < retry_at_) return;
  const std::size_t count = std::min(max_batch_, waiting_.size());
  batch_.clear();
  thens_.clear();
  for (std::size_t taken = 0; taken < count; ++taken) {
    batch_.push_back(std::move(waiting_.front().command));
    thens_.push_back(std::move(waiting_.front().then));
    waiting_.pop_front();
  }
  auto results = store_.apply(batch_, now);
  if (!results) {
    if (results.error() == ports::StoreError::unavailable) {
      put_back(batch_, thens_, now.wall);
    } else {
      stop(thens_, results.error());
    }
    return;
  }
  PENSTOCK_CHECK(results->size() == count, "one result a command");
  batches_ += 1;
  commands_ += count;
  // Moved out first: a result may add commands, and those must not disturb this walk.
  std::vector<Then> thens = std::move(thens_);
  for (std::size_t index = 0; index < count; ++index) thens[index](std::move((*results)[index]));
  thens_ = std::move(thens);
}

void CommitQueue::stop(std::vector<Then>& thens, ports::StoreError error) {
  failure_ = error;
  for (Then& then : thens) then(std::unexpected(error));
  while (!waiting_.empty()) {
    Then then = std::move(waiting_.front().then);
    waiting_.pop_front();
    then(std::unexpected(error));
  }
}

void CommitQueue::put_back(std::vector<ports::Command>& commands, std::vector<Then>& thens,
                           domain::Instant now) {
  retry_at_ = now + kPauseWhenUnavailable;
  for (std::size_t index = commands.size(); index-- > 0;) {
    if (must_be_kept(commands[index])) {
      waiting_.push_front({std::move(commands[index]), std::move(thens[index])});
    } else {
      thens[index](std::unexpected(ports::StoreError::unavailable));
    }
  }
}

}  // namespace penstock::pipeline
