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
  struct Sizes {
    std::size_t commands = 0;
    std::size_t tenants = 0;
  };

  /// Nothing where the rows have another form.
  static std::optional<OrderAnswer> from(const Rows& rows, Sizes sizes);

  /// Results of the commands, asked for in their order. `command` counts accepts and commits,
  /// `tenant` the tenants of the call, both from 0. The command is moved from.
  ports::CommandResult accept(std::size_t command, std::size_t tenant, ports::Accept& accept);
  ports::CommandResult commit(std::size_t command, ports::Commit& commit);
  ports::CommandResult peek(std::size_t tenant);

  /// False once an answer named an order that it did not bring.
  bool is_whole() const { return is_whole_; }

 private:
  /// The numbers of deploy/postgres/0004_apply.sql.
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
  bool read_buckets(const Rows& rows, std::size_t tenants);

  std::vector<Outcome> outcomes_;
  std::vector<std::optional<domain::OrderId>> replays_;
  std::vector<domain::TokenBucket> buckets_;
  domain::MonotonicTime now_;
  std::unordered_map<domain::OrderId, domain::Order> orders_;  ///< as of the present command
  bool is_whole_ = true;
};

}  // namespace penstock::postgres_store
