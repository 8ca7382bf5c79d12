#pragma once

#include <chrono>
#include <expected>
#include <future>
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
///
/// No call waits for long: each statement and commit has its timeout, and a connection is opened on
/// a thread of its own, for which a call waits a fifth of the timeout, or a fiftieth of it while
/// commits do not work. A session that the server refuses to write for (read-only, no room, going
/// down) or that did not answer is left, and the next one is with whichever host of the URL takes
/// writes; it is used once a commit of no consequence worked on it.
class WriterSession {
 public:
  /// The first one. `reachability` outlives the session and is told what it meets.
  WriterSession(const PostgresStoreOptions& options, Reachability& reachability);
  /// A further one, the `number`th of its node.
  WriterSession(const PostgresStoreOptions& options, std::size_t number);

  /// Waits for a connection that is being opened, within its timeouts.
  ~WriterSession();
  WriterSession(const WriterSession&) = delete;
  WriterSession& operator=(const WriterSession&) = delete;

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
  /// Leaves a session whose server refuses all that it is asked for, and waits with the next one.
  void leave(const Failure& failure);
  /// A commit of no consequence, which shows whether commits work.
  std::expected<void, Failure> probe();
  /// What the last commit was asked to do.
  std::vector<Call> take_calls();
  /// Whether it is connected, or may try to be.
  bool is_usable() const;

  const CompositeTypes& types() const { return types_; }
  Connection* connection() { return connection_.get(); }
  std::uint64_t round_trips() const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Opened {
    std::unique_ptr<Connection> connection;
    CompositeTypes types;
    std::string server_life;
  };
  using Opening = std::expected<Opened, Failure>;

  std::expected<void, Failure> require_connection();
  void begin_opening();
  /// Opens a connection and makes it this session's, after the end of the one of `last_pid`. Reads
  /// what never changes, so it may run beside the session's other calls.
  Opening open_anew(int last_pid) const;
  std::expected<void, Failure> hold_node(Connection& connection) const;
  std::expected<void, Failure> hold_gateway(Connection& connection) const;
  /// Waits for the lock that `statement` tries to take; `why_not` is the refusal's text.
  std::expected<void, Failure> hold(Connection& connection, const Statement& statement,
                                    const Parameters& parameters, const std::string& why_not) const;
  std::expected<void, Failure> end_last_session(Connection& connection, int last_pid) const;
  std::expected<void, Failure> try_commit(Connection& connection) const;
  void use(Opened opened);
  /// Leaves a session that is of no use any more, and tells of it.
  void note(const Failure& failure);
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
  std::future<Opening> opening_;
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
