#include "adapters/postgres/connection.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

#include "adapters/postgres/binary.h"
#include "domain/check.h"

namespace penstock::postgres_store {
namespace {

using ports::StoreError;

constexpr Statement kBegin{.name = "begin", .sql = "BEGIN ISOLATION LEVEL READ COMMITTED"};
constexpr Statement kCommit{.name = "commit", .sql = "COMMIT"};
/// How often two clients change places to find out whether a pooler shares sessions.
constexpr int kPoolerRounds = 4;

struct ResultClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ResultClear>;

StoreError error_of(std::string_view sql_state) {
  // XX001 and XX002: a page or an index entry does not match its checksum or form.
  if (sql_state == "XX001" || sql_state == "XX002") return StoreError::corrupt;
  // Values, constraints, or a schema that is not ours: doing it again would change nothing.
  const std::string_view code = sql_state.substr(0, 2);
  if (code == "22" || code == "23" || code == "42") return StoreError::corrupt;
  return StoreError::unavailable;
}

bool is_answer(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

std::string in_seconds(domain::Duration span) {
  return std::to_string(std::max<std::int64_t>(1, span.us / 1'000'000));
}

std::string in_milliseconds(domain::Duration span) {
  return std::to_string(std::max<std::int64_t>(1, span.us / 1'000));
}

std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char each : text) {
    if (each == quote) out.push_back(quote);
    out.push_back(each);
  }
  out.push_back(quote);
  return out;
}

}  // namespace

std::string quoted_literal(std::string_view text) {
  return quoted(text, '\'');
}

std::string quoted_name(std::string_view text) {
  return quoted(text, '"');
}

namespace {

std::string settings_of(const ConnectionOptions& options) {
  const std::string timeout = in_milliseconds(options.statement_timeout);
  return "SET search_path = " + quoted_name(options.schema) +
         "; SET statement_timeout = " + timeout +
         "; SET idle_in_transaction_session_timeout = " + timeout +
         "; SET client_min_messages = warning; SET jit = off" +
         (options.plans == Plans::once ? "; SET plan_cache_mode = force_generic_plan" : "") +
         "; SELECT set_config('synchronous_commit', 'on', false)"
         "  WHERE current_setting('synchronous_commit') = 'off'";
}

}  // namespace

Parameters& Parameters::add(std::string binary) {
  values_.emplace_back(std::move(binary));
  return *this;
}

Parameters& Parameters::add_null() {
  values_.emplace_back(std::nullopt);
  return *this;
}

std::string_view Rows::bytes(std::size_t row, int column) const {
  const int line = static_cast<int>(row);
  return {PQgetvalue(result_.get(), line, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), line, column))};
}

std::int64_t Rows::integer(std::size_t row, int column) const {
  return integer_from(bytes(row, column));
}

std::unique_ptr<Connection> Connection::connect(const ConnectionOptions& options) {
  const std::string connect_timeout = in_seconds(options.connect_timeout);
  const std::string tcp_timeout = in_milliseconds(options.statement_timeout);
  // What stands before the URL is a default that it may change; what stands behind is not.
  const char* const names[] = {"connect_timeout",      "tcp_user_timeout",
                               "keepalives_idle",      "keepalives_interval",
                               "keepalives_count",     "dbname",
                               "target_session_attrs", "application_name",
                               "client_encoding",      nullptr};
  const char* const values[] = {connect_timeout.c_str(),
                                tcp_timeout.c_str(),
                                "5",
                                "2",
                                "3",
                                options.url.c_str(),
                                "read-write",
                                options.name.c_str(),
                                "UTF8",
                                nullptr};
  std::unique_ptr<Connection> connection(new Connection(PQconnectdbParams(names, values, 1)));
  // Errors come back as failures; a notice has no reader.
  PQsetNoticeProcessor(connection->connection_.get(), [](void*, const char*) {}, nullptr);
  return connection;
}

std::expected<std::unique_ptr<Connection>, Failure> Connection::open(
    const ConnectionOptions& options, std::span<const Statement> statements) {
  std::unique_ptr<Connection> connection = connect(options);
  if (!connection->is_alive()) return std::unexpected(connection->broken());
  if (auto known = connection->learn_backend_pid(); !known) return std::unexpected(known.error());
  // A pooler makes up the process that it tells its clients.
  if (connection->backend_pid_ != PQbackendPID(connection->connection_.get())) {
    if (auto own = connection->require_own_session(options); !own) {
      return std::unexpected(std::move(own.error()));
    }
  }
  if (auto set = connection->execute(settings_of(options)); !set) {
    return std::unexpected(std::move(set.error()));
  }
  if (auto prepared = connection->prepare(statements); !prepared) {
    return std::unexpected(std::move(prepared.error()));
  }
  return connection;
}

std::expected<void, Failure> Connection::learn_backend_pid() {
  const auto pid = query("SELECT pg_backend_pid()");
  if (!pid) return std::unexpected(pid.error());
  backend_pid_ = static_cast<int>(pid->integer(0, 0));
  return {};
}

std::expected<int, Failure> Connection::pid_of_a_transaction() {
  if (auto begun = execute("BEGIN"); !begun) return std::unexpected(std::move(begun.error()));
  const auto pid = query("SELECT pg_backend_pid()");
  if (!pid) return std::unexpected(pid.error());
  return static_cast<int>(pid->integer(0, 0));
}

// Two clients whose transactions change places: with a pool of transactions one of them meets the
// process that the other had.
std::expected<void, Failure> Connection::require_own_session(const ConnectionOptions& options) {
  const auto refused = [](std::string_view why) {
    return std::unexpected(Failure{
        .error = StoreError::unavailable,
        .sql_state = "55000",
        .detail = "a pooler that shares sessions lies between (" + std::string(why) +
                  "): statements are prepared and locks held by session, so use its session mode "
                  "or the server itself"});
  };
  const std::unique_ptr<Connection> other = connect(options);
  if (!other->is_alive()) return std::unexpected(other->broken());
  for (int round = 0; round < kPoolerRounds; ++round) {
    const auto others = other->pid_of_a_transaction();
    if (!others) return refused(others.error().detail);
    if (*others == backend_pid_) return refused("two clients met one process of the server");
    const auto own = pid_of_a_transaction();
    if (!own) return refused(own.error().detail);
    if (*own != backend_pid_) return refused("the server's process changed");
    if (auto ended = execute("COMMIT"); !ended) return std::unexpected(std::move(ended.error()));
    if (auto ended = other->execute("COMMIT"); !ended) {
      return std::unexpected(std::move(ended.error()));
    }
  }
  return {};
}

std::vector<Notice> Connection::take_notices() {
  struct Free {
    void operator()(PGnotify* notice) const { PQfreemem(notice); }
  };
  std::vector<Notice> taken;
  if (PQconsumeInput(connection_.get()) != 1) is_given_up_ = true;
  while (const std::unique_ptr<PGnotify, Free> notice{PQnotifies(connection_.get())}) {
    taken.push_back({.sender_pid = notice->be_pid, .payload = notice->extra});
  }
  return taken;
}

std::expected<void, Failure> Connection::prepare(std::span<const Statement> statements) {
  std::vector<Statement> all(statements.begin(), statements.end());
  if (!all.empty()) {
    all.push_back(kBegin);
    all.push_back(kCommit);
  }
  for (const Statement& statement : all) {
    const Result result(PQprepare(connection_.get(), statement.name, statement.sql, 0, nullptr));
    if (!is_answer(result.get())) return std::unexpected(failure_of(result.get()));
  }
  return {};
}

std::expected<void, Failure> Connection::execute(const std::string& sql) {
  ++round_trips_;
  const Result result(PQexec(connection_.get(), sql.c_str()));
  if (!is_answer(result.get())) return std::unexpected(failure_of(result.get()));
  return {};
}

std::expected<Rows, Failure> Connection::query(const std::string& sql) {
  ++round_trips_;
  Result result(
      PQexecParams(connection_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1));
  if (!is_answer(result.get())) return std::unexpected(failure_of(result.get()));
  return Rows(result.release());
}

bool Connection::send(const Statement& statement, const Parameters& parameters) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  const std::vector<int> formats(parameters.size(), 1);
  for (const auto& value : parameters.values()) {
    values.push_back(value ? value->data() : nullptr);
    lengths.push_back(value ? static_cast<int>(value->size()) : 0);
  }
  return PQsendQueryPrepared(connection_.get(), statement.name, static_cast<int>(parameters.size()),
                             values.data(), lengths.data(), formats.data(), 1) == 1;
}

std::expected<Rows, Failure> Connection::run(const Statement& statement,
                                             const Parameters& parameters) {
  ++round_trips_;
  if (!send(statement, parameters)) return std::unexpected(broken());
  Result answer;
  while (PGresult* next = PQgetResult(connection_.get())) {
    // An error stays what the call is told; a result after it would only be the farewell.
    if (!answer || is_answer(answer.get())) {
      answer.reset(next);
    } else {
      PQclear(next);
    }
  }
  if (!answer || !is_answer(answer.get())) return std::unexpected(failure_of(answer.get()));
  return Rows(answer.release());
}

TransactionResult Connection::run_transaction(std::span<const Call> calls) {
  TransactionResult result = start_transaction(calls);
  finish_transaction(calls.size(), result, {});
  return result;
}

TransactionResult Connection::start_transaction(std::span<const Call> calls) {
  ++round_trips_;
  TransactionResult result;
  if (!send_transaction(calls, result)) {
    result.failure = broken();
    is_given_up_ = true;
  }
  return result;
}

void Connection::finish_transaction(std::size_t calls, TransactionResult& result,
                                    std::span<Connection* const> others) {
  if (result.failure) return;
  receive_transaction(calls, result, others);
  end_pipeline();
}

void Connection::wait_for_answer(std::span<Connection* const> others) {
  std::vector<Connection*> waiting{this};
  waiting.insert(waiting.end(), others.begin(), others.end());
  while (PQisBusy(connection_.get()) == 1) {
    std::vector<pollfd> sockets;
    sockets.reserve(waiting.size());
    for (const Connection* each : waiting) {
      sockets.push_back({.fd = each->socket(), .events = POLLIN, .revents = 0});
    }
    if (poll(sockets.data(), sockets.size(), -1) < 0) continue;
    for (std::size_t at = sockets.size(); at-- > 0;) {
      if (sockets[at].revents == 0) continue;
      // An end is left to whoever reads the results: found here, it would hide what came before.
      char next = 0;
      const bool is_over = recv(sockets[at].fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
      if (at == 0 && is_over) return;
      if (is_over || PQconsumeInput(waiting[at]->connection_.get()) != 1) {
        waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(at));
      }
      if (waiting.empty() || waiting.front() != this) return;
    }
  }
}

bool Connection::send_transaction(std::span<const Call> calls, TransactionResult& result) {
  if (PQenterPipelineMode(connection_.get()) != 1 || !send(kBegin, {})) return false;
  for (const Call& call : calls) {
    if (!send(*call.statement, call.parameters)) return false;
  }
  if (PQsendFlushRequest(connection_.get()) != 1) return false;
  result.may_have_committed = true;
  return send(kCommit, {}) && PQpipelineSync(connection_.get()) == 1;
}

void Connection::receive_transaction(std::size_t calls, TransactionResult& result,
                                     std::span<Connection* const> others) {
  bool is_synchronised = false;
  bool at_an_end = false;    // of one statement's answer
  std::size_t answered = 0;  // BEGIN, the calls, COMMIT
  result.may_have_committed = true;
  while (!is_synchronised && is_alive()) {
    if (!others.empty()) wait_for_answer(others);
    Result answer(PQgetResult(connection_.get()));
    if (!answer) {
      // A second end in a row: libpq, whose write failed, expects nothing more and yet calls the
      // connection good.
      if (std::exchange(at_an_end, true)) is_given_up_ = true;
      continue;
    }
    at_an_end = false;
    const ExecStatusType status = PQresultStatus(answer.get());
    if (status == PGRES_PIPELINE_SYNC) {
      is_synchronised = true;
    } else if (is_answer(answer.get())) {
      ++answered;
      if (answered > 1 && answered <= calls + 1) result.rows.emplace_back(answer.release());
    } else if (status != PGRES_PIPELINE_ABORTED && !result.failure) {
      result.failure = failure_of(answer.get());
      // An error before the COMMIT's turn rolled everything back, the connection's end included.
      result.may_have_committed = answered == calls + 1 || result.failure->is_broken_connection();
    }
  }
  const bool is_committed = answered == calls + 2;
  if (is_committed) {
    result.failure.reset();
    result.may_have_committed = false;
  } else if (!result.failure) {
    result.failure = broken();
  }
}

void Connection::end_pipeline() {
  if (!is_alive()) return;
  if (PQexitPipelineMode(connection_.get()) != 1) is_given_up_ = true;
  if (PQtransactionStatus(connection_.get()) == PQTRANS_INERROR) {
    const Result rolled_back(PQexec(connection_.get(), "ROLLBACK"));
    ++round_trips_;
  }
}

Failure Connection::failure_of(const PGresult* result) {
  if (result == nullptr) return broken();
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (state == nullptr) return broken();
  // The schema may have changed under what is prepared (a plan of another result, a type that is
  // gone): only a new connection finds out what it is now.
  if (std::string_view(state) == "0A000" || std::string_view(state) == "XX000") is_given_up_ = true;
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const char* context = PQresultErrorField(result, PG_DIAG_CONTEXT);
  std::string detail = message == nullptr ? "" : message;
  if (context != nullptr) detail += std::string(" (") + context + ")";
  return {.error = error_of(state), .sql_state = state, .detail = std::move(detail)};
}

Failure Connection::broken() const {
  return {.error = StoreError::unavailable,
          .sql_state = {},
          .detail = PQerrorMessage(connection_.get())};
}

}  // namespace penstock::postgres_store
