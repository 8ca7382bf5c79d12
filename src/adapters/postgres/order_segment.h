#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/postgres/active_shares.h"
#include "adapters/postgres/connection.h"
#include "adapters/postgres/postgres_store_options.h"
#include "adapters/postgres/writer_session.h"
#include "domain/ids.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// Gives the distinct keys of a batch their places 1, 2, ... in sorted order, which is the order
/// that every writer locks in.
template <typename Key>
class Places {
 public:
  void add(const Key& key) { places_.emplace(key, 0); }
  /// After the last add.
  void number() {
    std::int32_t next = 1;
    for (auto& [key, place] : places_) place = next++;
  }
  std::int32_t operator[](const Key& key) const { return places_.at(key); }
  std::size_t size() const { return places_.size(); }
  auto begin() const { return places_.begin(); }
  auto end() const { return places_.end(); }

 private:
  std::map<Key, std::int32_t> places_;
};

/// What is told to the server beside a batch.
struct CallContext {
  CompositeTypes types;
  std::string counter;  ///< the row of active_counts that the call's connection alone writes
  /// Accepted orders that go to this stage may be held (see HeldOrders), the first `hold_at_most`
  /// of them; none: no order is.
  std::optional<domain::Stage> hold_stage = std::nullopt;
  std::size_t hold_at_most = 0;
  /// How many orders of a tenant may be accepted; null: as many as the depth bound lets in.
  const ActiveShares::TenantRooms* tenant_rooms = nullptr;
};

/// Neighbouring accepts, commits and peeks of a batch as one call of apply_orders, and its answer
/// as their results.
class OrderSegment {
 public:
  /// `indices` are into `commands`, which has to live as long as the segment. Takes from
  /// `context.hold_at_most` what it asks to be held.
  OrderSegment(std::span<ports::Command> commands, std::vector<std::size_t> indices,
               CallContext& context);

  Call call(const PostgresStoreOptions& options, const CallContext& context) const;

  /// Sets the results of the segment's commands, moving from them. False where the rows have
  /// another form.
  bool read(const Rows& rows, std::vector<ports::CommandResult>& results);

  /// Before `read`.
  template <typename Visit>
  void for_each_to_hold(Visit visit) const {
    for (std::size_t write = 0; write < writes_.size(); ++write) {
      if (holds_[write]) visit(accept_of(writes_[write])->commit.next);
    }
  }

  /// After `read`: the orders that are this node's from now on, and the depth of the store.
  std::vector<domain::Order> take_held() { return std::move(held_); }
  std::size_t active() const { return active_; }

 private:
  using Text = std::string_view;
  using Pair = std::pair<Text, Text>;

  void gather();
  void choose_held(CallContext& context);
  const ports::Commit* commit_of(std::size_t index) const;
  const ports::Accept* accept_of(std::size_t index) const;
  /// Of each command its tenant's index in the answer; 0 where it has none.
  std::vector<std::size_t> tenant_places() const;
  void add_order_arrays(Parameters& parameters, const CompositeTypes& types) const;
  void add_command_arrays(Parameters& parameters) const;
  void add_line_arrays(Parameters& parameters) const;
  void add_name_arrays(Parameters& parameters) const;
  void add_order_sums(Parameters& parameters) const;
  void add_other_sums(Parameters& parameters) const;
  void add_tenant_rooms(Parameters& parameters, const CallContext& context) const;

  std::span<ports::Command> commands_;
  std::vector<std::size_t> indices_;
  std::vector<std::size_t> writes_;  ///< of them the accepts and commits
  bool is_plain_ = false;            ///< no order and no key twice
  std::vector<bool> holds_;          ///< of each of `writes_`, whether its order is to be held
  std::vector<domain::Order> held_;
  std::size_t active_ = 0;
  Places<domain::OrderId> orders_;
  Places<Text> tenants_;
  Places<Pair> products_;
  Places<Pair> keys_;
};

}  // namespace penstock::postgres_store
