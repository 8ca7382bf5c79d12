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

/// Neighbouring accepts, commits and peeks of a batch as one call of apply_orders, and its answer
/// as their results.
class OrderSegment {
 public:
  /// `indices` are into `commands`, which has to live as long as the segment.
  OrderSegment(std::span<ports::Command> commands, std::vector<std::size_t> indices);

  Call call(const PostgresStoreOptions& options, const CompositeTypes& types) const;

  /// Sets the results of the segment's commands, moving from them. False where the rows have
  /// another form.
  bool read(const Rows& rows, std::vector<ports::CommandResult>& results);

 private:
  using Text = std::string_view;
  using Pair = std::pair<Text, Text>;

  void gather();
  const ports::Commit* commit_of(std::size_t index) const;
  const ports::Accept* accept_of(std::size_t index) const;
  /// Of each command its tenant's index in the answer; 0 where it has none.
  std::vector<std::size_t> tenant_places() const;
  void add_order_arrays(Parameters& parameters, const CompositeTypes& types) const;
  void add_command_arrays(Parameters& parameters) const;
  void add_line_arrays(Parameters& parameters) const;
  void add_name_arrays(Parameters& parameters) const;

  std::span<ports::Command> commands_;
  std::vector<std::size_t> indices_;
  std::vector<std::size_t> writes_;  ///< of them the accepts and commits
  Places<domain::OrderId> orders_;
  Places<Text> tenants_;
  Places<Pair> products_;
  Places<Pair> keys_;
};

}  // namespace penstock::postgres_store
