#include "adapters/postgres/writer_session.h"

#include <algorithm>
#include <system_error>
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
/// Of the timeout: how long a call waits for a connection that is being opened, how long while
/// commits do not work, and how long the outcome of a commit is asked for.
constexpr int kOpeningShare = 5;
constexpr int kOpeningShareAway = 50;
constexpr int kStatusShare = 5;
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
                          .timeout = options.timeout,
                          .last_call = options.last_call},
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
                          .timeout = options.timeout,
                          .last_call = options.last_call},
      node_(options.node),
      gateway_(GatewayHold::none),
      first_pause_(options.reconnect_pause),
      pause_(options.reconnect_pause),
      random_(std::random_device{}()) {}

std::uint64_t WriterSession::round_trips() const {
  return past_round_trips_ + (connection_ ? connection_->round_trips() : 0);
}

WriterSession::~WriterSession() {
  if (opening_.valid()) opening_.wait();
}

std::expected<void, Failure> WriterSession::open() {
  auto opened = open_anew(0);
  if (!opened) return std::unexpected(std::move(opened.error()));
  use(*std::move(opened));
  return {};
}

std::expected<void, Failure> WriterSession::require_connection() {
  const auto not_yet = [](const char* why) {
    return std::unexpected(
        Failure{.error = StoreError::unavailable, .sql_state = {}, .detail = why});
  };
  if (connection_ && connection_->is_alive()) return {};
  if (connection_) {
    last_pid_ = connection_->backend_pid();
    past_round_trips_ += connection_->round_trips();
    connection_.reset();
  }
  if (!opening_.valid()) {
    if (Clock::now() < next_try_) return not_yet("not connected; the next try is not due");
    begin_opening();
    if (!opening_.valid()) return not_yet("no thread for a connection");
  }
  const bool is_away = reachability_ != nullptr && reachability_->is_away();
  const int share = is_away ? kOpeningShareAway : kOpeningShare;
  if (opening_.wait_for(micros(connection_options_.timeout) / share) != std::future_status::ready) {
    if (reachability_ != nullptr) reachability_->missed("a session takes long to open");
    return not_yet("a session is being opened");
  }
  Opening opened = opening_.get();
  if (opened) {
    use(*std::move(opened));
    if (reachability_ != nullptr) reachability_->met();
    return {};
  }
  if (reachability_ != nullptr) reachability_->missed(opened.error().text());
  next_try_ = Clock::now() + micros(pause_);
  pause_ = std::min(domain::Duration{pause_.us * 2}, kMaxReconnectPause);
  return std::unexpected(std::move(opened.error()));
}

void WriterSession::begin_opening() {
  try {
    opening_ = std::async(std::launch::async,
                          [this, last_pid = last_pid_] { return open_anew(last_pid); });
  } catch (const std::system_error&) {
    next_try_ = Clock::now() + micros(pause_);
  }
}

void WriterSession::use(Opened opened) {
  types_ = opened.types;
  server_life_ = std::move(opened.server_life);
  connection_ = std::move(opened.connection);
  last_pid_ = 0;
}

void WriterSession::note(const Failure& failure) {
  // A lock that is waited for in vain (57014, 55P03) holds up every session alike; it is waited for
  // by the one that is opened next, beside the work.
  const bool is_held_up = failure.sql_state == "57014" || failure.sql_state == "55P03";
  if (!failure.is_broken_connection() && !failure.is_server_out_of_service() && !is_held_up) return;
  // What else ended a session is met again by the next one, which is tried at once, or is over.
  if (reachability_ != nullptr && (is_held_up || connection_->is_out_of_time())) {
    reachability_->missed(failure.text() + " (server at " + connection_->address() + ")");
  }
  connection_->give_up();
}

void WriterSession::leave(const Failure& failure) {
  if (connection_ == nullptr) return;
  if (reachability_ != nullptr) {
    reachability_->missed(failure.text() + " (server at " + connection_->address() + ")");
  }
  connection_->give_up();
  next_try_ = Clock::now() + micros(pause_);
  pause_ = std::min(domain::Duration{pause_.us * 2}, kMaxReconnectPause);
}

std::expected<void, Failure> WriterSession::end_last_session(Connection& connection,
                                                             int last_pid) const {
  // What our own last session still does must be over before anything is asked about it.
  const auto ended = connection.run(statements::kEndSession,
                                    Parameters()
                                        .add(to_binary(static_cast<std::int32_t>(last_pid)))
                                        .add(connection_options_.name));
  if (!ended) return std::unexpected(ended.error());
  if (ended->size() != 0 && !ended->boolean(0, 0)) {
    return std::unexpected(Failure{.error = StoreError::unavailable,
                                   .sql_state = "55000",
                                   .detail = "the last session does not end"});
  }
  return {};
}

std::expected<void, Failure> WriterSession::try_commit(Connection& connection) const {
  const Call calls[] = {
      {.statement = &statements::kTryLocks, .parameters = {}},
      {.statement = &statements::kTryWrite, .parameters = Parameters().add(node_)}};
  TransactionResult result = connection.run_transaction(calls);
  if (result.failure) return std::unexpected(*std::move(result.failure));
  return {};
}

std::expected<void, Failure> WriterSession::probe() {
  if (auto connected = require_connection(); !connected) return connected;
  const Reachability::Asking asking(reachability_);
  auto tried = try_commit(*connection_);
  if (!tried) note(tried.error());
  return tried;
}

WriterSession::Opening WriterSession::open_anew(int last_pid) const {
  auto opened = Connection::open(connection_options_, statements::kWriter);
  if (!opened) return std::unexpected(std::move(opened.error()));
  Connection& connection = **opened;
  if (auto ended = last_pid == 0 ? Done{} : end_last_session(connection, last_pid); !ended) {
    return std::unexpected(std::move(ended.error()));
  }
  // It may have been migrated since the last connection.
  auto checked = check_schema_version(connection, connection_options_.schema);
  if (!checked) {
    if (checked.error().sql_state == "55000") checked.error().error = StoreError::corrupt;
    return std::unexpected(std::move(checked.error()));
  }
  const bool is_first = reachability_ != nullptr;
  if (auto held = is_first ? hold_node(connection) : Done{}; !held) {
    return std::unexpected(std::move(held.error()));
  }
  if (auto held = is_first ? hold_gateway(connection) : Done{}; !held) {
    return std::unexpected(std::move(held.error()));
  }
  const auto types = connection.run(statements::kTypeIds, {});
  if (!types) return std::unexpected(types.error());
  const auto life = connection.run(statements::kServerLife, {});
  if (!life) return std::unexpected(life.error());
  if (auto tried = try_commit(connection); !tried) return std::unexpected(std::move(tried.error()));
  return Opened{.connection = *std::move(opened),
                .types = {.facts = static_cast<std::uint32_t>(types->integer(0, 0)),
                          .state = static_cast<std::uint32_t>(types->integer(0, 1))},
                .server_life = std::string(life->bytes(0, 0))};
}

std::expected<void, Failure> WriterSession::hold_node(Connection& connection) const {
  return hold(connection, statements::kHoldNode, Parameters().add(node_),
              "another process runs as node \"" + node_ + "\"");
}

std::expected<void, Failure> WriterSession::hold_gateway(Connection& connection) const {
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
                                                 const std::string& why_not) const {
  const auto until = Clock::now() + micros(connection_options_.connect_timeout);
  for (;;) {
    const auto held = connection.run(statement, parameters);
    if (!held) return std::unexpected(held.error());
    if (held->boolean(0, 0)) return {};
    const LastCall* last_call = connection_options_.last_call.get();
    if (Clock::now() >= until || (last_call != nullptr && last_call->is_over())) {
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
    const Reachability::Asking asking(reachability_);
    auto rows = connection_->run(statement, parameters);
    if (rows) return rows;
    note(rows.error());
    if (rows.error().is_refusal()) leave(rows.error());
    if (!rows.error().is_conflict() || tries == kMaxConflictTries) return rows;
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
  if (connection_ && connection_->is_alive()) return true;
  // One that is being opened is not waited for while another can do the work.
  if (!opening_.valid()) return Clock::now() >= next_try_;
  return opening_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::expected<std::vector<Rows>, Failure> WriterSession::finish_commit(
    std::span<Connection* const> others) {
  if (not_started_) return std::unexpected(*std::exchange(not_started_, std::nullopt));
  const Reachability::Asking asking(reachability_);
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
      pause_ = first_pause_;
      result.rows.pop_back();
      return std::move(result.rows);
    }
    note(*result.failure);
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
  const auto until = Clock::now() + micros(connection_options_.timeout) / kStatusShare;
  do {
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
  } while (Clock::now() < until);
  failure.error = StoreError::unknown_outcome;
  return std::unexpected(std::move(failure));
}

void WriterSession::pause_before_try(int tries) {
  std::uniform_int_distribution<std::int64_t> pause(0, kConflictPauseUs << tries);
  std::this_thread::sleep_for(std::chrono::microseconds(pause(random_)));
}

}  // namespace penstock::postgres_store
