#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "adapters/postgres/connection.h"
#include "adapters/postgres/postgres_store_options.h"
#include "domain/instant.h"

namespace penstock::postgres_store {

/// Object ids of the composite types, which differ from database to database.
struct CompositeTypes {
  std::uint32_t facts = 0;
  std::uint32_t state = 0;
};

/// A writing connection of a node: opened again when it broke, with pauses; conflicts are tried
/// again; a COMMIT without an answer is resolved. The first one has the node's name and its hold on
/// the payment gateway; further ones are worked with only beside it. Not thread-safe.
class WriterSession {
 public:
  /// The first one. `reachability` outlives the session and is told what it meets.
  WriterSession(const PostgresStoreOptions& options, Reachability& reachability);
  /// A further one, the `number`th of its node.
  WriterSession(const PostgresStoreOptions& options, std::size_t number);

  /// Opens the first connection, takes the node's name and the hold on the gateway. What is in use
  /// is waited for as long as a connection may take to end, then refused.
  std::expected<void, Failure> open();

  /// One statement of its own transaction, without effect where it failed but for a broken
  /// connection.
  std::expected<Rows, Failure> run(const Statement& statement, const Parameters& parameters);

  /// All calls in one transaction, durable when it returns; conflicts are tried again up to
  /// kMaxConflictTries times. `unavailable`: nothing was done.
  std::expected<std::vector<Rows>, Failure> commit(std::vector<Call> calls);
  /// The same in two halves: several sessions work at once. Between them nothing else may be asked
  /// of this session.
  void start_commit(std::vector<Call> calls);
  std::expected<std::vector<Rows>, Failure> finish_commit(std::span<Connection* const> others);
  /// What the last commit was asked to do.
  std::vector<Call> take_calls();
  /// Whether it is connected, or may try to be.
  bool is_usable() const;

  const CompositeTypes& types() const { return types_; }
  Connection* connection() { return connection_.get(); }
  std::uint64_t round_trips() const;

 private:
  using Clock = std::chrono::steady_clock;

  std::expected<void, Failure> require_connection();
  std::expected<void, Failure> connect();
  std::expected<void, Failure> hold_node(Connection& connection);
  std::expected<void, Failure> hold_gateway(Connection& connection);
  /// Waits for the lock that `statement` tries to take; `why_not` is the refusal's text.
  std::expected<void, Failure> hold(Connection& connection, const Statement& statement,
                                    const Parameters& parameters, const std::string& why_not);
  /// After a COMMIT without an answer: its rows if it took effect.
  std::expected<std::vector<Rows>, Failure> resolve(TransactionResult result);
  void pause_before_try(int tries);

  ConnectionOptions connection_options_;
  std::string node_;
  GatewayHold gateway_;
  Reachability* reachability_ = nullptr;  ///< null: a further session
  domain::Duration first_pause_;
  domain::Duration pause_;
  Clock::time_point next_try_;
  std::unique_ptr<Connection> connection_;
  int last_pid_ = 0;  ///< of the connection before, to be ended
  CompositeTypes types_;
  std::string server_life_;  ///< of the last connection
  std::vector<Call> calls_;  ///< of the commit that was begun
  std::optional<TransactionResult> started_;
  std::optional<Failure> not_started_;
  std::minstd_rand random_;
  std::uint64_t past_round_trips_ = 0;
};

}  // namespace penstock::postgres_store
