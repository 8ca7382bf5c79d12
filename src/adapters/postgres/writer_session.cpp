#include "adapters/postgres/writer_session.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/migrations.h"
#include "adapters/postgres/statements.h"

namespace penstock::postgres_store {
namespace {

using ports::StoreError;
using Done = std::expected<void, Failure>;

constexpr std::chrono::milliseconds kNamePause{50};
constexpr std::chrono::milliseconds kStatusPause{20};
constexpr int kMaxStatusTries = 50;
/// The first pause of a batch that lost; doubled each time, with full jitter.
constexpr std::int64_t kConflictPauseUs = 1'000;

std::chrono::microseconds micros(domain::Duration span) {
  return std::chrono::microseconds(span.us);
}

}  // namespace

WriterSession::WriterSession(const PostgresStoreOptions& options, Reachability& reachability)
    : connection_options_{.url = options.url,
                          .schema = options.schema,
                          .name = "penstock " + options.node,
                          .connect_timeout = options.connect_timeout,
                          .statement_timeout = options.statement_timeout},
      node_(options.node),
      gateway_(options.gateway),
      reachability_(&reachability),
      first_pause_(options.reconnect_pause),
      pause_(options.reconnect_pause),
      random_(std::random_device{}()) {}

WriterSession::WriterSession(const PostgresStoreOptions& options, std::size_t number)
    : connection_options_{.url = options.url,
                          .schema = options.schema,
                          .name = "penstock " + options.node + "/" + std::to_string(number),
                          .connect_timeout = options.connect_timeout,
                          .statement_timeout = options.statement_timeout},
      node_(options.node),
      gateway_(GatewayHold::none),
      first_pause_(options.reconnect_pause),
      pause_(options.reconnect_pause),
      random_(std::random_device{}()) {}

std::uint64_t WriterSession::round_trips() const {
  return past_round_trips_ + (connection_ ? connection_->round_trips() : 0);
}

std::expected<void, Failure> WriterSession::open() {
  return connect();
}

std::expected<void, Failure> WriterSession::require_connection() {
  if (connection_ && connection_->is_alive()) return {};
  if (connection_) {
    last_pid_ = connection_->backend_pid();
    past_round_trips_ += connection_->round_trips();
    connection_.reset();
  }
  if (Clock::now() < next_try_) {
    return std::unexpected(Failure{.error = StoreError::unavailable,
                                   .sql_state = {},
                                   .detail = "not connected; the next try is not due"});
  }
  auto connected = connect();
  if (connected) {
    pause_ = first_pause_;
    if (reachability_ != nullptr) reachability_->met();
  } else {
    if (reachability_ != nullptr)
      reachability_->missed(connected.error().sql_state + " " + connected.error().detail);
    next_try_ = Clock::now() + micros(pause_);
    pause_ = std::min(domain::Duration{pause_.us * 2}, kMaxReconnectPause);
  }
  return connected;
}

std::expected<void, Failure> WriterSession::connect() {
  auto opened = Connection::open(connection_options_, statements::kWriter);
  if (!opened) return std::unexpected(std::move(opened.error()));
  Connection& connection = **opened;
  if (last_pid_ != 0) {
    // What our own last session still does must be over before anything is asked about it.
    const auto ended = connection.run(statements::kEndSession,
                                      Parameters()
                                          .add(to_binary(static_cast<std::int32_t>(last_pid_)))
                                          .add(connection_options_.name));
    if (!ended) return std::unexpected(ended.error());
    if (ended->size() != 0 && !ended->boolean(0, 0)) {
      return std::unexpected(Failure{.error = StoreError::unavailable,
                                     .sql_state = "55000",
                                     .detail = "the last session does not end"});
    }
  }
  // It may have been migrated since the last connection.
  auto checked = check_schema_version(connection, connection_options_.schema);
  if (!checked) {
    checked.error().error = StoreError::corrupt;
    return checked;
  }
  const bool is_first = reachability_ != nullptr;
  if (auto held = is_first ? hold_node(connection) : Done{}; !held) return held;
  if (auto held = is_first ? hold_gateway(connection) : Done{}; !held) return held;
  const auto types = connection.run(statements::kTypeIds, {});
  if (!types) return std::unexpected(types.error());
  types_ = {.facts = static_cast<std::uint32_t>(types->integer(0, 0)),
            .state = static_cast<std::uint32_t>(types->integer(0, 1))};
  const auto life = connection.run(statements::kServerLife, {});
  if (!life) return std::unexpected(life.error());
  server_life_ = life->bytes(0, 0);
  last_pid_ = 0;
  connection_ = std::move(*opened);
  return {};
}

std::expected<void, Failure> WriterSession::hold_node(Connection& connection) {
  return hold(connection, statements::kHoldNode, Parameters().add(node_),
              "another process runs as node \"" + node_ + "\"");
}

std::expected<void, Failure> WriterSession::hold_gateway(Connection& connection) {
  switch (gateway_) {
    case GatewayHold::none:
      return {};
    case GatewayHold::shared:
      return hold(connection, statements::kShareGateway, {},
                  "another process on this database charges at a sandbox gateway of its own");
    case GatewayHold::alone:
      return hold(connection, statements::kKeepGateway, {},
                  "another process on this database charges already, and a sandbox gateway in this "
                  "one would not know its charges");
  }
  return {};
}

std::expected<void, Failure> WriterSession::hold(Connection& connection, const Statement& statement,
                                                 const Parameters& parameters,
                                                 const std::string& why_not) {
  const auto until = Clock::now() + micros(connection_options_.connect_timeout);
  for (;;) {
    const auto held = connection.run(statement, parameters);
    if (!held) return std::unexpected(held.error());
    if (held->boolean(0, 0)) return {};
    if (Clock::now() >= until) {
      return std::unexpected(
          Failure{.error = StoreError::unavailable, .sql_state = "55006", .detail = why_not});
    }
    std::this_thread::sleep_for(kNamePause);
  }
}

std::expected<Rows, Failure> WriterSession::run(const Statement& statement,
                                                const Parameters& parameters) {
  for (int tries = 1;; ++tries) {
    if (auto connected = require_connection(); !connected) {
      return std::unexpected(std::move(connected.error()));
    }
    auto rows = connection_->run(statement, parameters);
    if (rows || !rows.error().is_conflict() || tries == kMaxConflictTries) return rows;
    pause_before_try(tries);
  }
}

std::expected<std::vector<Rows>, Failure> WriterSession::commit(std::vector<Call> calls) {
  start_commit(std::move(calls));
  return finish_commit({});
}

void WriterSession::start_commit(std::vector<Call> calls) {
  calls_ = std::move(calls);
  calls_.push_back({.statement = &statements::kTransactionId, .parameters = {}});
  started_.reset();
  not_started_.reset();
  if (auto connected = require_connection(); connected) {
    started_ = connection_->start_transaction(calls_);
  } else {
    not_started_ = std::move(connected.error());
  }
}

std::vector<Call> WriterSession::take_calls() {
  calls_.pop_back();
  return std::move(calls_);
}

bool WriterSession::is_usable() const {
  return (connection_ && connection_->is_alive()) || Clock::now() >= next_try_;
}

std::expected<std::vector<Rows>, Failure> WriterSession::finish_commit(
    std::span<Connection* const> others) {
  if (not_started_) return std::unexpected(*std::exchange(not_started_, std::nullopt));
  for (int tries = 1;; ++tries) {
    if (!started_) {
      if (auto connected = require_connection(); !connected) {
        return std::unexpected(std::move(connected.error()));
      }
      started_ = connection_->start_transaction(calls_);
    }
    TransactionResult result = *std::exchange(started_, std::nullopt);
    connection_->finish_transaction(calls_.size(), result, others);
    if (!result.failure) {
      result.rows.pop_back();
      return std::move(result.rows);
    }
    if (result.may_have_committed) {
      if (result.rows.size() == calls_.size()) return resolve(std::move(result));
      result.failure->error = StoreError::unknown_outcome;
      return std::unexpected(*std::move(result.failure));
    }
    if (!result.failure->is_conflict() || tries == kMaxConflictTries) {
      return std::unexpected(*std::move(result.failure));
    }
    pause_before_try(tries);
  }
}

std::expected<std::vector<Rows>, Failure> WriterSession::resolve(TransactionResult result) {
  Failure failure = *std::move(result.failure);
  const Rows id = std::move(result.rows.back());
  result.rows.pop_back();
  if (id.is_null(0, 0)) return std::move(result.rows);  // it wrote nothing
  const std::string transaction(id.bytes(0, 0));
  const std::string life = server_life_;
  for (int tries = 0; tries < kMaxStatusTries; ++tries) {
    if (require_connection()) {
      // Lost before it reached this server's disk, its id may be another transaction's by now.
      if (server_life_ != life) break;
      const auto status =
          connection_->run(statements::kTransactionStatus, Parameters().add(transaction));
      const std::string_view answer =
          status && !status->is_null(0, 0) ? status->bytes(0, 0) : std::string_view{};
      if (answer == "committed") return std::move(result.rows);
      if (answer == "aborted") {
        failure.error = StoreError::unavailable;
        return std::unexpected(std::move(failure));
      }
    }
    std::this_thread::sleep_for(kStatusPause);
  }
  failure.error = StoreError::unknown_outcome;
  return std::unexpected(std::move(failure));
}

void WriterSession::pause_before_try(int tries) {
  std::uniform_int_distribution<std::int64_t> pause(0, kConflictPauseUs << tries);
  std::this_thread::sleep_for(std::chrono::microseconds(pause(random_)));
}

}  // namespace penstock::postgres_store
