#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ports/order_reader.h"
#include "ports/order_store.h"

namespace penstock::pipeline::testing {

/// Where the process is to end; caught by the harness.
struct Crash {};

/// How the connection to a shared store breaks around an apply.
enum class Breaks : std::uint8_t {
  before,  ///< nothing is applied
  after,   ///< everything is applied, and the answer is lost
};

/// Another store, watched: each applied batch is told before and after, may be made unavailable,
/// may go without an answer, and may end the process at either point.
class RecordingStore final : public ports::OrderStore {
 public:
  explicit RecordingStore(ports::OrderStore& store) : store_(store) {}

  std::function<void(std::span<const ports::Command>)> before_apply;
  std::function<void()> after_apply;
  std::function<void()> before_mark;
  std::function<void(ports::StoreDepth&)> adjust_depth;
  bool away = false;             ///< `apply` answers unavailable
  bool refuses = false;          ///< `apply` does none of the commands, and says so of each
  bool claims_away = false;      ///< claims and takes do
  bool hands_out_again = false;  ///< the terminal batches that were taken last, once
  std::deque<Breaks> breaks;     ///< of the next batches: each answers unknown_outcome
  std::vector<std::size_t> batches;

  std::expected<std::vector<ports::CommandResult>, ports::StoreError> apply(
      std::span<ports::Command> commands, domain::Now now) override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    batches.push_back(commands.size());
    if (refuses) {
      return std::vector<ports::CommandResult>(commands.size(), ports::CommandNotDone{});
    }
    if (before_apply) before_apply(commands);
    if (!breaks.empty()) {
      const Breaks when = breaks.front();
      breaks.pop_front();
      if (when == Breaks::after) {
        std::vector<ports::Command> sent(commands.begin(), commands.end());
        static_cast<void>(store_.apply(sent, now));
      }
      return std::unexpected(ports::StoreError::unknown_outcome);
    }
    auto results = store_.apply(commands, now);
    if (after_apply && results) after_apply();
    return results;
  }
  std::expected<std::vector<domain::Order>, ports::StoreError> claim_within(
      domain::Stage stage, std::size_t limit, ports::ClaimPlaces* places,
      domain::Now now) override {
    if (claims_away) return std::unexpected(ports::StoreError::unavailable);
    return store_.claim_within(stage, limit, places, now);
  }
  std::expected<std::optional<domain::Order>, ports::StoreError> claim_one(
      const domain::OrderId& order) override {
    if (claims_away) return std::unexpected(ports::StoreError::unavailable);
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
    if (claims_away) return std::unexpected(ports::StoreError::unavailable);
    auto taken = store_.take_terminal_batches(limit);
    if (!taken) return taken;
    if (!taken->empty()) last_taken_ = *taken;
    if (taken->empty() && hands_out_again) *taken = std::exchange(last_taken_, {});
    return taken;
  }
  std::expected<std::vector<ports::Delivery>, ports::StoreError> take_deliveries(
      std::size_t limit, domain::Now now, std::span<const domain::TenantId> left_out) override {
    if (claims_away) return std::unexpected(ports::StoreError::unavailable);
    return store_.take_deliveries(limit, now, left_out);
  }
  ports::StoreDepth depth() const override {
    ports::StoreDepth depth = store_.depth();
    if (adjust_depth) adjust_depth(depth);
    return depth;
  }
  std::optional<domain::Instant> next_due() const override { return store_.next_due(); }
  ports::Recovery recovery() const override { return store_.recovery(); }
  std::expected<void, ports::StoreError> settled() override { return store_.settled(); }

 private:
  ports::OrderStore& store_;
  std::vector<ports::TerminalBatch> last_taken_;
};

/// Another reader, which may be made unavailable.
class WatchedReader final : public ports::OrderReader {
 public:
  explicit WatchedReader(const ports::OrderReader& reader) : reader_(reader) {}

  bool away = false;

  std::expected<std::optional<ports::StoredOrder>, ports::StoreError> find(
      const domain::OrderId& order) const override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    return reader_.find(order);
  }
  std::expected<ports::OrderPage, ports::StoreError> list(
      const ports::OrderQuery& query) const override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    return reader_.list(query);
  }
  std::expected<ports::OrderPage, ports::StoreError> dead_letters(
      const ports::DeadLetterQuery& query) const override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    return reader_.dead_letters(query);
  }
  std::expected<ports::OrderPage, ports::StoreError> owed_refunds(
      std::optional<domain::OrderId> after, std::size_t limit) const override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    return reader_.owed_refunds(after, limit);
  }
  std::expected<std::optional<domain::Stock>, ports::StoreError> stock(
      const domain::TenantId& tenant, const domain::ProductId& product) const override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    return reader_.stock(tenant, product);
  }
  std::expected<domain::Contract, ports::StoreError> contract(
      const domain::TenantId& tenant) const override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    return reader_.contract(tenant);
  }
  domain::Standing standing(const domain::TenantId& tenant) const override {
    return reader_.standing(tenant);
  }
  std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, ports::StoreError>
  contracts(const domain::TenantId& after, std::size_t limit) const override {
    if (away) return std::unexpected(ports::StoreError::unavailable);
    return reader_.contracts(after, limit);
  }

 private:
  const ports::OrderReader& reader_;
};

}  // namespace penstock::pipeline::testing
