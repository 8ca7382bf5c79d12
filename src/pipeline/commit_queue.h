#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <optional>
#include <vector>

#include "domain/instant.h"
#include "domain/order.h"
#include "domain/saga.h"
#include "ports/order_store.h"

namespace penstock::pipeline {

/// How long a transition that the store refused waits until it is asked for again.
inline constexpr domain::Duration kPauseAside = domain::Duration::seconds(5);

/// Takes the result of one command once its batch is durable, or the error that ended it.
using Then = std::move_only_function<void(std::expected<ports::CommandResult, ports::StoreError>)>;

/// The commands that wait for the next group commit, in order.
class CommitQueue {
 public:
  CommitQueue(ports::OrderStore& store, std::size_t max_batch)
      : store_(store), max_batch_(max_batch) {}

  void add(ports::Command&& command, Then&& then);

  /// Applies one batch, at most max_batch commands, and passes the results on. What a result adds
  /// goes into the next batch. While the store is unavailable, new orders and requests are told so
  /// and transitions wait: the outcome of an effect is never dropped. The same where a shared store
  /// did not answer, only that those who are told know nothing of the outcome then. A transition
  /// that is applied again and had landed before is passed on as committed, not as stale. One that
  /// the store takes no single time, while it takes others, waits aside for kPauseAside.
  void flush(domain::Now now);

  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }
  /// True if a full batch is waiting: nothing more should be claimed.
  bool full() const { return waiting_.size() >= max_batch_; }
  /// When the next flush may succeed.
  domain::Instant retry_at() const { return retry_at_; }
  std::optional<ports::StoreError> failure() const { return failure_; }
  std::size_t batches() const { return batches_; }
  std::size_t commands() const { return commands_; }

 private:
  enum class Asked : std::uint8_t { never, without_answer };

  struct Waiting {
    ports::Command command;
    Then then;
    Asked asked = Asked::never;
  };
  /// What a transition that may have landed already would have left in its order.
  struct Trace {
    std::size_t index = 0;  ///< in the batch
    domain::StockMove stock = domain::StockMove::none;
    std::vector<domain::Event> events;
  };

  void fill_batch(std::size_t count);
  void recognize_landed(std::vector<ports::CommandResult>& results) const;
  void take_from_aside(domain::Instant now);
  /// Ends or sets aside what the store did not carry out.
  void put_aside(std::size_t index, Then then, ports::StoreError error, domain::Instant now);
  void stop(ports::StoreError error);
  void put_back(ports::StoreError error, domain::Instant now);

  ports::OrderStore& store_;
  std::size_t max_batch_;
  std::deque<Waiting> waiting_;
  std::vector<Waiting> aside_;
  domain::Instant aside_until_;
  std::vector<ports::Command> batch_;
  std::vector<Then> thens_;
  std::vector<Asked> asked_;   ///< by the batch's index
  std::vector<Trace> traces_;  ///< of the batch's commands that were asked without an answer
  domain::Instant retry_at_;
  std::optional<ports::StoreError> failure_;
  std::size_t batches_ = 0;
  std::size_t commands_ = 0;
};

}  // namespace penstock::pipeline
