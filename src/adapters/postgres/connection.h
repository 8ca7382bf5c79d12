#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include "adapters/postgres/connect.h"
#include "adapters/postgres/failure.h"
#include "adapters/postgres/last_call.h"
#include "domain/instant.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// The parameters of a call, in binary. Kept by value: what is passed may go.
class Parameters {
 public:
  Parameters& add(std::string binary);
  Parameters& add_null();

  std::size_t size() const { return values_.size(); }
  const std::vector<std::optional<std::string>>& values() const { return values_; }

 private:
  std::vector<std::optional<std::string>> values_;
};

/// A statement that a connection prepares when it opens.
struct Statement {
  const char* name;
  const char* sql;
};

/// One call of a prepared statement.
struct Call {
  const Statement* statement = nullptr;
  Parameters parameters;
};

/// The rows of an answer, in binary.
class Rows {
 public:
  Rows() = default;
  explicit Rows(PGresult* result) : result_(result) {}

  std::size_t size() const { return static_cast<std::size_t>(PQntuples(result_.get())); }
  bool is_null(std::size_t row, int column) const {
    return PQgetisnull(result_.get(), static_cast<int>(row), column) != 0;
  }
  std::string_view bytes(std::size_t row, int column) const;
  std::int64_t integer(std::size_t row, int column) const;
  bool boolean(std::size_t row, int column) const { return bytes(row, column) == "\1"; }

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

/// Whether a prepared statement is planned for its values or once for all of them. Planning for
/// values looks at every month before it leaves all but one out.
enum class Plans : std::uint8_t { as_the_server_likes, once };

struct ConnectionOptions {
  std::string url;     ///< a libpq URL or keyword string; sslmode and the rest as it says
  std::string schema;  ///< becomes the search path
  std::string name;    ///< shown as application_name
  domain::Duration connect_timeout = domain::Duration::seconds(5);  ///< for each host
  /// What one call may take, as this side sees it; then the connection is given up. The server
  /// itself stops a statement after statement_share of it, so that one which waits for a lock ends
  /// with the server's word and a session that goes on.
  domain::Duration timeout = domain::Duration::seconds(10);
  Plans plans = Plans::as_the_server_likes;
  /// Ends every wait sooner; may be null, outlives the connection.
  std::shared_ptr<const LastCall> last_call{};
};

/// What the server allows a statement, of what this side allows the call.
constexpr domain::Duration statement_timeout(domain::Duration timeout) {
  return {timeout.us - timeout.us / 5};
}

/// How a transaction of several calls ended.
struct TransactionResult {
  std::vector<Rows> rows;  ///< one a call; where `failure` is set, of those that answered
  std::optional<Failure> failure;
  /// Whether the server may have carried out the COMMIT although no answer to it came.
  bool may_have_committed = false;
};

/// What another session told with pg_notify.
struct Notice {
  int sender_pid = 0;
  std::string payload;
};

/// A connection to a server that takes writes (target_session_attrs=read-write), whose commits wait
/// for the disk. Not thread-safe. Every call blocks for at most ConnectionOptions::timeout,
/// whatever the server or what lies between does, and so does the end of a connection: it waits for
/// nothing. A connection whose call took longer is given up; what the server made of the call is
/// not known.
class Connection {
 public:
  /// Connects and prepares `statements`, which must outlive the connection. A pooler on the way is
  /// refused unless it leaves the whole session to one client: statements are prepared and locks
  /// are held by the session.
  static std::expected<std::unique_ptr<Connection>, Failure> open(
      const ConnectionOptions& options, std::span<const Statement> statements);

  /// One statement of its own transaction; one round trip.
  std::expected<Rows, Failure> run(const Statement& statement, const Parameters& parameters);

  /// All calls in one transaction and one round trip: pipelined between BEGIN and COMMIT, with a
  /// flush before the COMMIT, so that the answers leave the server before it commits.
  TransactionResult run_transaction(std::span<const Call> calls);
  /// The same in two halves, so that several connections work at once: sends, and receives. Between
  /// them nothing else may be asked of this connection. While one waits, the answers to `others`
  /// are read off their sockets, so that none of them waits for this program.
  TransactionResult start_transaction(std::span<const Call> calls);
  void finish_transaction(std::size_t calls, TransactionResult& result,
                          std::span<Connection* const> others);

  /// Text without parameters, of one or several statements; for migrations and settings.
  std::expected<void, Failure> execute(const std::string& sql);

  /// Text without parameters, one statement; its rows in binary.
  std::expected<Rows, Failure> query(const std::string& sql);

  /// No call lasts beyond `at`, until the next `end_by`; the timeout counts as well.
  void end_by(LastCall::Clock::time_point at) { end_by_ = at; }
  /// What one call may take from now on, as this side and the server see it. One round trip.
  std::expected<void, Failure> allow(domain::Duration timeout);

  /// It takes writes no more, or not those of this session: the next use opens another one.
  void give_up() { is_given_up_ = true; }
  bool is_alive() const { return !is_given_up_ && PQstatus(connection_.get()) == CONNECTION_OK; }
  /// Whether it was given up because a call took too long.
  bool is_out_of_time() const { return is_out_of_time_; }
  /// "host:port" of the server, or its socket's directory with the port.
  std::string address() const;
  /// The server's process of this session; behind a pooler too.
  int backend_pid() const { return backend_pid_; }

  /// The descriptor that becomes readable when a notice may have come.
  int socket() const { return PQsocket(connection_.get()); }
  /// What was told on the channels listened to, since the last call. Does not block; an empty
  /// answer and a dead connection where it broke.
  std::vector<Notice> take_notices();
  /// How often a call waited for an answer since the connection opened.
  std::uint64_t round_trips() const { return round_trips_; }

 private:
  Connection(ServerConnection connection, const ConnectionOptions& options);
  static std::expected<std::unique_ptr<Connection>, Failure> connect(
      const ConnectionOptions& options);
  std::expected<void, Failure> learn_backend_pid();
  /// Behind a pooler: whether the session stays with one process of the server.
  std::expected<void, Failure> require_own_session(const ConnectionOptions& options);
  std::expected<int, Failure> pid_of_a_transaction();
  std::expected<void, Failure> prepare(std::span<const Statement> statements);
  bool send(const Statement& statement, const Parameters& parameters);
  /// Hands everything to libpq; false where it could not. `may_have_committed` is set as soon as
  /// the COMMIT may be on its way.
  bool send_transaction(std::span<const Call> calls, TransactionResult& result);
  /// Reads up to the synchronisation point, or to the end of the connection.
  void receive_transaction(std::size_t calls, TransactionResult& result,
                           std::span<Connection* const> others);
  void begin_call();
  /// Sends what is to be sent and reads until a result can be taken without waiting; meanwhile
  /// reads for `others` too. False where time is up, and then the connection is given up.
  bool await_result(std::span<Connection* const> others);
  /// Until all that was handed to libpq is sent.
  bool await_sent();
  /// Sleeps until something can be read of one of `waiting`, or written of the first one, and reads
  /// it. False once there is nothing more to wait for.
  bool pump(std::vector<Connection*>& waiting, bool is_sending);
  /// The last result of a call that was sent, or its error; null where the connection broke.
  PGresult* take_answer();
  void run_out_of_time();
  void end_pipeline();
  Failure failure_of(const PGresult* result);
  Failure broken() const;

  ServerConnection connection_;
  domain::Duration timeout_;
  std::shared_ptr<const LastCall> last_call_;
  LastCall::Clock::time_point end_by_ = LastCall::Clock::time_point::max();
  Deadline deadline_;  ///< of the present call
  int backend_pid_ = 0;
  std::uint64_t round_trips_ = 0;
  bool is_given_up_ = false;  ///< out of step with the server
  bool is_out_of_time_ = false;
};

/// `text` as a literal and as a name of SQL.
std::string quoted_literal(std::string_view text);
std::string quoted_name(std::string_view text);

}  // namespace penstock::postgres_store
