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

#include "domain/instant.h"
#include "ports/order_store.h"

namespace penstock::postgres_store {

/// Why a call failed, with the server's or libpq's words (never a value of a row).
struct Failure {
  ports::StoreError error = ports::StoreError::unavailable;
  std::string sql_state;  ///< empty where the connection broke
  std::string detail;

  /// The transaction lost against another one and may be tried again at once.
  bool is_conflict() const { return sql_state == "40001" || sql_state == "40P01"; }
  bool is_broken_connection() const { return sql_state.empty(); }
};

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
  domain::Duration connect_timeout = domain::Duration::seconds(5);
  domain::Duration statement_timeout = domain::Duration::seconds(10);
  Plans plans = Plans::as_the_server_likes;
};

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
/// for the disk. Not thread-safe. Every call blocks, for at most the statement timeout on the
/// server and the TCP timeouts on the way.
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

  bool is_alive() const { return !is_given_up_ && PQstatus(connection_.get()) == CONNECTION_OK; }
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
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  explicit Connection(PGconn* connection) : connection_(connection) {}
  static std::unique_ptr<Connection> connect(const ConnectionOptions& options);
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
  void wait_for_answer(std::span<Connection* const> others);
  void end_pipeline();
  Failure failure_of(const PGresult* result);
  Failure broken() const;

  std::unique_ptr<PGconn, Finish> connection_;
  int backend_pid_ = 0;
  std::uint64_t round_trips_ = 0;
  bool is_given_up_ = false;  ///< out of step with the server
};

/// `text` as a literal and as a name of SQL.
std::string quoted_literal(std::string_view text);
std::string quoted_name(std::string_view text);

}  // namespace penstock::postgres_store
