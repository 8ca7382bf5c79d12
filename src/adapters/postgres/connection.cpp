#include "adapters/postgres/connection.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <tuple>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/connection_url.h"
#include "domain/check.h"

namespace penstock::postgres_store {
namespace {

using ports::StoreError;

constexpr Statement kBegin{.name = "begin", .sql = "BEGIN ISOLATION LEVEL READ COMMITTED"};
constexpr Statement kCommit{.name = "commit", .sql = "COMMIT"};
/// How often two clients change places to find out whether a pooler shares sessions.
constexpr int kPoolerRounds = 4;
/// For each of the small calls that open a session, whatever is asked of it later.
constexpr domain::Duration kOpeningTimeout = domain::Duration::seconds(20);

struct ResultClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ResultClear>;

bool is_answer(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
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
  const std::string timeout = in_milliseconds(statement_timeout(options.timeout));
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

Connection::Connection(ServerConnection connection, const ConnectionOptions& options)
    : connection_(std::move(connection)),
      timeout_(std::min(options.timeout, kOpeningTimeout)),
      last_call_(options.last_call) {}

std::expected<std::unique_ptr<Connection>, Failure> Connection::connect(
    const ConnectionOptions& options) {
  auto connected = connect_for_writing({.url = options.url,
                                        .name = options.name,
                                        .host_timeout = options.connect_timeout,
                                        .tcp_timeout = options.timeout,
                                        .last_call = options.last_call.get()});
  if (!connected) return std::unexpected(std::move(connected.error()));
  return std::unique_ptr<Connection>(new Connection(*std::move(connected), options));
}

std::expected<std::unique_ptr<Connection>, Failure> Connection::open(
    const ConnectionOptions& options, std::span<const Statement> statements) {
  if (auto why = why_malformed(options.url)) {
    Failure failure;
    failure.detail = *std::move(why);
    return std::unexpected(std::move(failure));
  }
  auto connected = connect(options);
  if (!connected) return connected;
  std::unique_ptr<Connection> connection = *std::move(connected);
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
  connection->timeout_ = options.timeout;
  return connection;
}

std::expected<void, Failure> Connection::allow(domain::Duration timeout) {
  timeout_ = timeout;
  return execute("SET statement_timeout = " + in_milliseconds(statement_timeout(timeout)));
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
  const auto connected = connect(options);
  if (!connected) return std::unexpected(connected.error());
  Connection* const other = connected->get();
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
    begin_call();
    if (PQsendPrepare(connection_.get(), statement.name, statement.sql, 0, nullptr) != 1) {
      return std::unexpected(broken());
    }
    const Result result(take_answer());
    if (!is_answer(result.get())) return std::unexpected(failure_of(result.get()));
  }
  return {};
}

std::expected<void, Failure> Connection::execute(const std::string& sql) {
  ++round_trips_;
  begin_call();
  if (PQsendQuery(connection_.get(), sql.c_str()) != 1) return std::unexpected(broken());
  const Result result(take_answer());
  if (!is_answer(result.get())) return std::unexpected(failure_of(result.get()));
  return {};
}

std::expected<Rows, Failure> Connection::query(const std::string& sql) {
  ++round_trips_;
  begin_call();
  if (PQsendQueryParams(connection_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1) !=
      1) {
    return std::unexpected(broken());
  }
  Result result(take_answer());
  if (!is_answer(result.get())) return std::unexpected(failure_of(result.get()));
  return Rows(result.release());
}

void Connection::begin_call() {
  const auto until = LastCall::Clock::now() + std::chrono::microseconds(timeout_.us);
  deadline_ = Deadline(std::min(until, end_by_), last_call_.get());
}

std::string Connection::address() const {
  const char* host = PQhost(connection_.get());
  const char* port = PQport(connection_.get());
  return std::string(host == nullptr ? "" : host) + ":" + (port == nullptr ? "" : port);
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
  begin_call();
  if (!send(statement, parameters)) return std::unexpected(broken());
  Result answer(take_answer());
  if (!is_answer(answer.get())) return std::unexpected(failure_of(answer.get()));
  return Rows(answer.release());
}

PGresult* Connection::take_answer() {
  Result answer;
  while (await_result({})) {
    Result next(PQgetResult(connection_.get()));
    if (!next) return answer.release();
    // An error stays what the call is told; a result after it would only be the farewell.
    if (!answer || is_answer(answer.get())) answer = std::move(next);
  }
  return nullptr;
}

TransactionResult Connection::run_transaction(std::span<const Call> calls) {
  TransactionResult result = start_transaction(calls);
  finish_transaction(calls.size(), result, {});
  return result;
}

TransactionResult Connection::start_transaction(std::span<const Call> calls) {
  ++round_trips_;
  begin_call();
  TransactionResult result;
  if (!send_transaction(calls, result) || !await_sent()) {
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

bool Connection::await_sent() {
  std::vector<Connection*> waiting{this};
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left < 0) return false;
    // An end that is found here is told by whoever reads the results.
    if (left == 0 || !pump(waiting, true)) return !is_out_of_time_;
  }
}

bool Connection::await_result(std::span<Connection* const> others) {
  if (is_out_of_time_) return false;
  std::vector<Connection*> waiting;
  for (;;) {
    const bool is_sending = PQflush(connection_.get()) > 0;
    if (PQisBusy(connection_.get()) != 1) return true;
    if (waiting.empty()) {
      waiting.push_back(this);
      waiting.insert(waiting.end(), others.begin(), others.end());
    }
    if (!pump(waiting, is_sending)) return !is_out_of_time_;
  }
}

bool Connection::pump(std::vector<Connection*>& waiting, bool is_sending) {
  std::vector<pollfd> sockets;
  sockets.reserve(waiting.size());
  for (const Connection* each : waiting) {
    sockets.push_back({.fd = each->socket(), .events = POLLIN, .revents = 0});
  }
  if (is_sending) sockets.front().events |= POLLOUT;
  if (poll(sockets.data(), sockets.size(), deadline_.slice_ms()) <= 0) {
    if (!deadline_.is_over()) return true;
    run_out_of_time();
    return false;
  }
  for (std::size_t at = sockets.size(); at-- > 0;) {
    if ((sockets[at].revents & ~POLLOUT) == 0) continue;
    // An end is left to whoever reads the results: found here, it would hide what came before.
    char next = 0;
    const ssize_t peeked = recv(sockets[at].fd, &next, 1, MSG_PEEK | MSG_DONTWAIT);
    const bool is_over = peeked == 0 || (peeked < 0 && errno != EAGAIN && errno != EINTR);
    // After a write that failed libpq expects no answer, and does not say so until it is asked for
    // a result; a server that goes down may go on telling notices.
    const bool is_deaf = at == 0 &&
                         ::send(sockets[at].fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
                         errno != EAGAIN && errno != EINTR;
    if (at == 0 && (is_over || is_deaf)) {
      // What came is still read, and then the end.
      shutdown(sockets[at].fd, SHUT_RDWR);
      return false;
    }
    if (is_over || PQconsumeInput(waiting[at]->connection_.get()) != 1) {
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  return !waiting.empty() && waiting.front() == this;
}

void Connection::run_out_of_time() {
  is_given_up_ = true;
  is_out_of_time_ = true;
  // The end of the connection has nothing to say any more, to a peer that does not listen.
  shutdown(socket(), SHUT_RDWR);
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
    if (!await_result(others)) break;
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
    std::ignore = execute("ROLLBACK");
  }
}

Failure Connection::failure_of(const PGresult* result) {
  if (result == nullptr || PQresultErrorField(result, PG_DIAG_SQLSTATE) == nullptr) return broken();
  Failure failure = failure_of_result(*result);
  // The schema may have changed under what is prepared (a plan of another result, a type that is
  // gone): only a new connection finds out what it is now.
  if (failure.sql_state == "0A000" || failure.sql_state == "XX000") is_given_up_ = true;
  return failure;
}

Failure Connection::broken() const {
  if (is_out_of_time_) {
    return {.error = StoreError::unavailable,
            .sql_state = {},
            .detail = "no answer within " + std::to_string(timeout_.us / 1'000) + " ms"};
  }
  return {.error = StoreError::unavailable,
          .sql_state = {},
          .detail = PQerrorMessage(connection_.get())};
}

}  // namespace penstock::postgres_store
