#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "adapters/postgres/connection.h"
#include "domain/ids.h"
#include "domain/order.h"
#include "domain/token_bucket.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// What apply_orders answered. The server decided; this follows the commands in their order to tell
/// each one's result: what is left in a bucket, and an order as it was at that point.
class OrderAnswer {
 public:
  enum class Kind : std::uint8_t { accept, commit };
  struct Sizes {
    std::size_t commands = 0;
    std::size_t tenants = 0;
  };

  /// Nothing where the rows have another form.
  static std::optional<OrderAnswer> from(const Rows& rows, Sizes sizes);

  /// The number of the outcome of an accept, or else of a commit, that is carried out as it stands.
  static std::int16_t as_it_stands(Kind kind) {
    return static_cast<std::int16_t>(kind == Kind::accept ? Outcome::accepted : Outcome::committed);
  }

  /// Results of the commands, asked for in their order. `command` counts accepts and commits,
  /// `tenant` the tenants of the call, both from 0. The command is moved from.
  ports::CommandResult accept(std::size_t command, std::size_t tenant, ports::Accept& accept);
  ports::CommandResult commit(std::size_t command, ports::Commit& commit);
  ports::CommandResult peek(std::size_t tenant);

  /// The orders that the server leased to this node by storing them, in the order of their accepts.
  std::vector<domain::Order> take_held() { return std::move(held_orders_); }
  /// Active orders in the store, as of this call.
  std::size_t active() const { return active_; }

  /// False once an answer named an order that it did not bring.
  bool is_whole() const { return is_whole_; }

 private:
  /// The numbers of deploy/postgres/0007_apply_and_hold.sql.
  enum class Outcome : std::int64_t {
    accepted = 0,
    replayed = 1,
    key_reused = 2,
    denied = 3,
    full = 5,
    accepted_unknown_product = 6,
    accepted_short = 7,
    committed = 10,
    unknown_product = 11,
    short_of_stock = 12,
    stale = 13,
    missing = 14,
  };

  std::optional<domain::Order> known(const domain::OrderId& id);
  void remember(const domain::Order& order);
  bool read_buckets(const Rows& rows, std::size_t tenants);

  std::vector<Outcome> outcomes_;
  std::vector<std::optional<domain::OrderId>> replays_;
  std::vector<bool> held_;  ///< by command
  std::vector<domain::Order> held_orders_;
  std::size_t active_ = 0;
  bool asks_back_ = false;  ///< some command is answered with an order of another one
  std::vector<domain::TokenBucket> buckets_;
  domain::MonotonicTime now_;
  std::unordered_map<domain::OrderId, domain::Order> orders_;  ///< as of the present command
  bool is_whole_ = true;
};

}  // namespace penstock::postgres_store
