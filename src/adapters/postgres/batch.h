#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "adapters/postgres/connection.h"
#include "adapters/postgres/order_segment.h"
#include "adapters/postgres/postgres_store_options.h"
#include "adapters/postgres/writer_session.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// A batch of commands as calls of one transaction. Neighbouring commands of a kind share a call:
/// accepts, commits and peeks one, stock commands one, contracts of different tenants one. What
/// ends batches and attempts comes last, one call each (one more where attempts at an order follow
/// each other), since nothing else in a batch depends on it.
class Batch {
 public:
  /// Reads `commands`, which have to live as long as the batch; they are not changed.
  Batch(std::span<ports::Command> commands, const PostgresStoreOptions& options,
        CallContext context);

  std::vector<Call> calls() const;

  /// The commands' results from the rows of the calls, one each. Moves from the commands. Nothing
  /// where the rows have another form.
  std::optional<std::vector<ports::CommandResult>> results(std::span<const Rows> rows);

  /// Tells `visit` of each accepted order that was asked to be held. Before `results`.
  template <typename Visit>
  void for_each_to_hold(Visit visit) const {
    for (const OrderSegment& segment : order_segments_) segment.for_each_to_hold(visit);
  }

  /// After `results`: the orders that are this node's from now on, and the depth of the store where
  /// an accept or a commit told it.
  std::vector<domain::Order> take_held();
  std::optional<std::size_t> active() const;

 private:
  using Indices = std::vector<std::size_t>;
  enum class Kind { orders, stock, contracts };
  struct Segment {
    Kind kind = Kind::orders;
    Indices commands;
  };

  void divide();
  bool joins(const Segment& segment, Kind kind, const ports::Command& command) const;
  Call stock_call(const Indices& indices) const;
  Call contracts_call(const Indices& indices) const;
  Indices finishes_of(ports::BatchPart part) const;
  Call finish_call(const Indices& indices, const Statement& statement) const;
  Call drop_call(const Indices& indices) const;
  void add_attempt(std::size_t index);
  Call attempts_call(const Indices& indices) const;
  bool read_stock(const Indices& indices, const Rows& rows,
                  std::vector<ports::CommandResult>& results) const;
  bool read_contracts(const Indices& indices, const Rows& rows,
                      std::vector<ports::CommandResult>& results) const;

  std::span<ports::Command> commands_;
  const PostgresStoreOptions& options_;
  CallContext context_;
  std::vector<Segment> segments_;
  std::vector<OrderSegment> order_segments_;  ///< of those of kind `orders`, in their order
  Indices finishes_;
  std::vector<Indices> attempts_;        ///< in each, attempts at different orders
  std::set<domain::OrderId> attempted_;  ///< by the last of `attempts_`
  std::set<domain::TenantId> named_;     ///< by the contracts of the last segment
};

}  // namespace penstock::postgres_store
