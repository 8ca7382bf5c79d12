#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ports/order_store.h"

namespace penstock::pipeline::testing {

/// Where the process is to end; caught by the harness.
struct Crash {};

/// Another store, watched: each applied batch is told before and after, may be made unavailable,
/// and may end the process at either point.
class RecordingStore final : public ports::OrderStore {
 public:
  explicit RecordingStore(ports::OrderStore& store) : store_(store) {}

  std::function<void(std::span<const ports::Command>)> before_apply;
  std::function<void()> after_apply;
  std::function<void()> before_mark;
  bool away = false;  ///< `apply` answers unavailable
  std::vector<std::size_t> batches;

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      std::span<ports::Command> commands, domain::Now now) override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    batches.push_back(commands.size());
    if (before_apply) before_apply(commands);
    auto results = store_.apply(commands, now);
    if (after_apply && results) after_apply();
    return results;
  }
  std::expected<std::vector<domain::Order>, ports::StoreError> claim(domain::Stage stage,
                                                                     std::size_t limit,
                                                                     domain::Now now) override {
    return store_.claim(stage, limit, now);
  }
  std::expected<std::optional<domain::Order>, ports::StoreError> claim_one(
      const domain::OrderId& order) override {
    return store_.claim_one(order);
  }
  void release(const domain::OrderId& order, domain::Instant due) override {
    store_.release(order, due);
  }
  std::expected<void, ports::StoreError> mark(std::span<const domain::OrderId> orders) override {
    if (before_mark) before_mark();
    return store_.mark(orders);
  }
  std::expected<std::vector<ports::TerminalBatch>, ports::StoreError> take_terminal_batches(
      std::size_t limit) override {
    return store_.take_terminal_batches(limit);
  }
  std::expected<std::vector<ports::Delivery>, ports::StoreError> take_deliveries(
      std::size_t limit, domain::Now now) override {
    return store_.take_deliveries(limit, now);
  }
  ports::StoreDepth depth() const override { return store_.depth(); }
  std::optional<domain::Instant> next_due() const override { return store_.next_due(); }
  ports::Recovery recovery() const override { return store_.recovery(); }
  std::expected<void, ports::StoreError> settled() override { return store_.settled(); }

 private:
  ports::OrderStore& store_;
};

}  // namespace penstock::pipeline::testing
