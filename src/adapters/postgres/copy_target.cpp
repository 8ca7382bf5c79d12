#include "adapters/postgres/copy_target.h"

#include <array>
#include <chrono>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/copy_statements.h"
#include "adapters/postgres/migrations.h"
#include "adapters/postgres/order_codec.h"

namespace penstock::postgres_store {
namespace {

using Done = CopyTarget::Done;
namespace sql = copy_statements;

constexpr int kMaxHoldTries = 100;
constexpr std::chrono::milliseconds kHoldPause{100};

Failure refused(std::string detail) {
  return {
      .error = ports::StoreError::unavailable, .sql_state = "55000", .detail = std::move(detail)};
}

Failure of_another_form(const char* what) {
  return {.error = ports::StoreError::corrupt, .sql_state = "XX001", .detail = what};
}

std::expected<std::int64_t, Failure> number_of(Connection& connection, const std::string& text) {
  const auto rows = connection.query(text);
  if (!rows) return std::unexpected(rows.error());
  return rows->integer(0, 0);
}

/// Whether a copy into this schema has begun, in whatever state it is.
std::expected<bool, Failure> has_begun(Connection& connection) {
  const auto tables =
      number_of(connection, "SELECT count(*) FROM to_regclass('store_copy') t WHERE t IS NOT NULL");
  if (!tables) return std::unexpected(tables.error());
  if (*tables == 0) return false;
  const auto rows = number_of(connection, "SELECT count(*) FROM store_copy");
  if (!rows) return std::unexpected(rows.error());
  return *rows > 0;
}

/// Array parameters, a column each; rows are added field by field.
template <std::size_t Count>
class Columns {
 public:
  explicit Columns(const std::array<TypeId, Count>& types) {
    for (const TypeId type : types) writers_.emplace_back(type);
  }
  ArrayWriter& operator[](std::size_t column) { return writers_[column]; }
  void add_to(Parameters& parameters) const {
    for (const ArrayWriter& writer : writers_) parameters.add(writer.bytes());
  }
  Parameters parameters() const {
    Parameters all;
    add_to(all);
    return all;
  }

 private:
  std::vector<ArrayWriter> writers_;
};

template <typename Enumeration>
std::string small(Enumeration value) {
  return to_binary(static_cast<std::int16_t>(value));
}

/// The notifications of orders: the first is the note of the end, each other an attempt's.
void add_notifications(std::span<const ports::StoredOrder> orders, Parameters& parameters) {
  Columns<5> notes(
      {type_id::kUuid, type_id::kInt4, type_id::kTimestamp, type_id::kInt2, type_id::kInt4});
  for (const ports::StoredOrder& stored : orders) {
    for (std::size_t at = 0; at < stored.deliveries.size(); ++at) {
      const ports::Delivered& note = stored.deliveries[at];
      notes[0].add(stored.order.id.view());
      notes[1].add(to_binary(at == 0 ? std::int32_t{1} : note.attempt + 1));
      notes[2].add(to_binary(note.at));
      notes[3].add(small(note.reason));
      notes[4].add(to_binary(note.attempt));
    }
  }
  notes.add_to(parameters);
}

}  // namespace

std::expected<std::unique_ptr<CopyTarget>, Failure> CopyTarget::open(
    const ConnectionOptions& options) {
  auto connection = Connection::open(options, {});
  if (!connection) return std::unexpected(std::move(connection.error()));
  const auto is_begun = has_begun(**connection);
  if (!is_begun) return std::unexpected(is_begun.error());
  if (!*is_begun) {
    if (auto done = migrate(options); !done) return std::unexpected(std::move(done.error()));
    if (auto made = (*connection)->execute(sql::kTable); !made) {
      return std::unexpected(std::move(made.error()));
    }
  }
  // Only now is there a schema to prepare statements in.
  connection = Connection::open(options, sql::kAll);
  if (!connection) return std::unexpected(std::move(connection.error()));
  std::unique_ptr<CopyTarget> target(new CopyTarget(*std::move(connection)));
  if (auto done = target->prepare(); !done) return std::unexpected(std::move(done.error()));
  return target;
}

Done CopyTarget::hold() {
  // The session of a copy that was killed ends with the statement that it is at.
  for (int tries = 1;; ++tries) {
    const auto held = connection_->query(
        "SELECT pg_try_advisory_lock(hashtext('penstock copy'), hashtext(current_schema()))");
    if (!held) return std::unexpected(held.error());
    if (held->boolean(0, 0)) return {};
    if (tries == kMaxHoldTries) {
      return std::unexpected(refused("another copy runs into this schema"));
    }
    std::this_thread::sleep_for(kHoldPause);
  }
}

Done CopyTarget::prepare() {
  if (auto held = hold(); !held) return held;
  const auto types = connection_->run(sql::kTypes, {});
  if (!types) return std::unexpected(types.error());
  types_ = {.facts = static_cast<std::uint32_t>(types->integer(0, 0)),
            .state = static_cast<std::uint32_t>(types->integer(0, 1))};
  const auto name = connection_->query(
      "SELECT format('schema %s of the database %s at %s', current_schema(), current_database(),"
      " coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a local socket'))");
  if (!name) return std::unexpected(name.error());
  description_ = name->bytes(0, 0);
  // What a page writes is made durable by `finish`, whose commit syncs all that is before it.
  if (auto set = connection_->execute("SET synchronous_commit = off"); !set) return set;
  return read_progress();
}

Done CopyTarget::read_progress() {
  progress_ = {};
  const auto row = connection_->query(
      "SELECT source, state, copied_batches, pass_to, step, after, copied_until FROM store_copy");
  if (!row) return std::unexpected(row.error());
  if (row->size() == 0) return {};
  if (row->size() != 1) return std::unexpected(of_another_form("store_copy has another form"));
  const std::string_view state = row->bytes(0, 1);
  progress_.phase = state == "finished"    ? CopyPhase::finished
                    : state == "abandoned" ? CopyPhase::abandoned
                                           : CopyPhase::copying;
  progress_.source = row->bytes(0, 0);
  progress_.copied_batches = static_cast<std::uint64_t>(row->integer(0, 2));
  if (!row->is_null(0, 3)) progress_.pass_to = static_cast<std::uint64_t>(row->integer(0, 3));
  progress_.step = row->bytes(0, 4);
  progress_.after = row->bytes(0, 5);
  if (!row->is_null(0, 6)) progress_.copied_until = instant_from(row->bytes(0, 6));
  return {};
}

std::expected<domain::Instant, Failure> CopyTarget::now() {
  const auto rows = connection_->query("SELECT store_now()");
  if (!rows) return std::unexpected(rows.error());
  return instant_from(rows->bytes(0, 0));
}

Done CopyTarget::begin(const std::string& source) {
  const auto begun = connection_->execute(fmt::format(
      "BEGIN; SET LOCAL synchronous_commit = on; {} INSERT INTO store_copy (source) VALUES ({});"
      "INSERT INTO schema_versions (version, name) VALUES ({}, 'copy in progress'); COMMIT",
      sql::kBegin, quoted_literal(source), kCopyInProgress));
  if (!begun) {
    // A transaction of one text that failed is still open.
    if (auto rolled = connection_->execute("ROLLBACK"); !rolled) return rolled;
    return begun;
  }
  return read_progress();
}

Done CopyTarget::abandon() {
  auto done = connection_->execute(
      "SET synchronous_commit = on; UPDATE store_copy SET state = 'abandoned', ended_at = now()");
  if (!done) return done;
  return read_progress();
}

Done CopyTarget::begin_pass(std::uint64_t to_batch, domain::Instant until) {
  auto done = connection_->execute(
      fmt::format("UPDATE store_copy SET pass_to = {}, pass_until = {}, step = '', after = ''",
                  to_batch, quoted_literal(domain::to_rfc3339(until))));
  if (!done) return done;
  return read_progress();
}

Done CopyTarget::end_pass() {
  auto done = connection_->execute(
      "UPDATE store_copy SET copied_batches = pass_to, copied_until = pass_until, pass_to = NULL,"
      " pass_until = NULL, step = '', after = ''");
  if (!done) return done;
  return read_progress();
}

Done CopyTarget::make_month(domain::Month month) {
  const std::string first = fmt::format("{}-01", domain::to_string(month));
  return connection_->execute(
      fmt::format("SELECT create_month('orders', '{0}'), create_month('events', '{0}')", first));
}

Done CopyTarget::clear_month(domain::Month month) {
  std::string name = domain::to_string(month);
  name[name.find('-')] = '_';
  return connection_->execute(
      fmt::format("TRUNCATE {}, {}", quoted_name("orders_" + name), quoted_name("events_" + name)));
}

Done CopyTarget::write(const Statement& statement, const Parameters& parameters) {
  const auto done = connection_->run(statement, parameters);
  if (!done) return std::unexpected(done.error());
  return {};
}

Done CopyTarget::write_at(const Statement& statement, Parameters parameters,
                          const CopyPlace& place) {
  const Call calls[] = {
      {.statement = &statement, .parameters = std::move(parameters)},
      {.statement = &sql::kPlace, .parameters = Parameters().add(place.step).add(place.after)}};
  TransactionResult result = connection_->run_transaction(calls);
  if (result.failure) return std::unexpected(*std::move(result.failure));
  progress_.step = place.step;
  progress_.after = place.after;
  return {};
}

Done CopyTarget::write_ended(std::span<const ports::StoredOrder> orders, const CopyPlace& place) {
  Columns<2> records({types_.facts, types_.state});
  for (const ports::StoredOrder& stored : orders) {
    records[0].add(encode_facts(stored.order));
    records[1].add(encode_state(stored.order, {}, stored.receipt));
  }
  Parameters parameters = records.parameters();
  add_notifications(orders, parameters);
  return write_at(sql::kEnded, std::move(parameters), place);
}

Done CopyTarget::write_keys(std::span<const ports::CopiedKey> keys, const CopyPlace& place) {
  Columns<5> columns(
      {type_id::kText, type_id::kText, type_id::kBytea, type_id::kUuid, type_id::kTimestamp});
  for (const ports::CopiedKey& each : keys) {
    const auto& print = each.record.fingerprint;
    columns[0].add(each.tenant.str());
    columns[1].add(each.key.str());
    columns[2].add({reinterpret_cast<const char*>(print.data()), print.size()});
    columns[3].add(each.record.order.view());
    columns[4].add(to_binary(each.record.expires_at));
  }
  return write_at(sql::kKeys, columns.parameters(), place);
}

Done CopyTarget::clear_live() {
  return connection_->execute(sql::kClearLive);
}

Done CopyTarget::write_active(std::span<const domain::Order> orders) {
  Columns<2> records({types_.facts, types_.state});
  for (const domain::Order& order : orders) {
    records[0].add(encode_facts(order));
    records[1].add(encode_state(order, {}, {}));
  }
  return write(sql::kActive, records.parameters());
}

Done CopyTarget::write_stock(std::span<const ports::CopiedStock> stock) {
  Columns<5> columns(
      {type_id::kText, type_id::kText, type_id::kInt8, type_id::kInt8, type_id::kInt8});
  for (const ports::CopiedStock& each : stock) {
    columns[0].add(each.tenant.str());
    columns[1].add(each.product.str());
    columns[2].add(to_binary(each.stock.received));
    columns[3].add(to_binary(each.stock.reserved));
    columns[4].add(to_binary(each.stock.sold));
  }
  return write(sql::kStock, columns.parameters());
}

Done CopyTarget::write_buckets(std::span<const ports::CopiedBucket> buckets) {
  Columns<7> columns({type_id::kText, type_id::kInt8, type_id::kInt8, type_id::kInt8,
                      type_id::kInt8, type_id::kInt8, type_id::kInt8});
  for (const ports::CopiedBucket& each : buckets) {
    columns[0].add(each.tenant.str());
    columns[1].add(to_binary(each.state.used));
    columns[2].add(to_binary(each.state.virtual_time));
    columns[3].add(to_binary(each.state.remainder));
    columns[4].add(to_binary(each.contract.rate.micro_tokens));
    columns[5].add(to_binary(each.contract.rate.period_ns));
    columns[6].add(to_binary(each.contract.burst));
  }
  return write(sql::kBuckets, columns.parameters());
}

Done CopyTarget::write_contracts(std::span<const ports::CopiedContract> contracts) {
  Columns<10> columns({type_id::kText, type_id::kInt8, type_id::kInt8, type_id::kInt8,
                       type_id::kInt8, type_id::kInt8, type_id::kInt8, type_id::kText,
                       type_id::kBytea, type_id::kBool});
  for (const auto& [tenant, contract] : contracts) {
    columns[0].add(tenant.str());
    columns[1].add(to_binary(contract.bucket.rate.micro_tokens));
    columns[2].add(to_binary(contract.bucket.rate.period_ns));
    columns[3].add(to_binary(contract.bucket.burst));
    if (contract.guarantee) {
      columns[4].add(to_binary(contract.guarantee->micro_tokens));
      columns[5].add(to_binary(contract.guarantee->period_ns));
    } else {
      columns[4].add_null();
      columns[5].add_null();
    }
    columns[6].add(to_binary(contract.weight));
    if (contract.webhook) {
      columns[7].add(contract.webhook->url);
      columns[8].add(contract.webhook->secret);
      columns[9].add(to_binary(contract.webhook->disabled));
    } else {
      for (std::size_t column = 7; column < 10; ++column) columns[column].add_null();
    }
  }
  return write(sql::kContracts, columns.parameters());
}

Done CopyTarget::write_batches(std::span<const ports::TerminalBatch> batches) {
  Columns<4> columns({type_id::kInt8, type_id::kUuid, type_id::kText, type_id::kInt2});
  for (const ports::TerminalBatch& batch : batches) {
    for (const ports::TerminalBatch::Entry& entry : batch.entries) {
      columns[0].add(to_binary(static_cast<std::int64_t>(batch.sequence)));
      columns[1].add(entry.order.view());
      columns[2].add(entry.tenant.str());
      columns[3].add(small(entry.status));
    }
  }
  return write(sql::kBatches, columns.parameters());
}

Done CopyTarget::write_deliveries(std::span<const ports::CopiedDelivery> deliveries) {
  Columns<4> columns({type_id::kUuid, type_id::kText, type_id::kInt4, type_id::kTimestamp});
  for (const ports::CopiedDelivery& each : deliveries) {
    columns[0].add(each.order.view());
    columns[1].add(each.tenant.str());
    columns[2].add(to_binary(each.attempt));
    columns[3].add(to_binary(each.due));
  }
  return write(sql::kDeliveries, columns.parameters());
}

std::expected<Tally, Failure> CopyTarget::tally(domain::Instant keys_after) {
  const auto rows = connection_->run(sql::kTally, Parameters().add(to_binary(keys_after)));
  if (!rows) return std::unexpected(rows.error());
  Tally tally;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    tally.emplace(rows->bytes(row, 0), rows->integer(row, 1));
  }
  return tally;
}

Done CopyTarget::finish() {
  for (const char* table : {"active_orders", "orders", "events", "idempotency_keys"}) {
    if (auto done = connection_->execute(fmt::format("ANALYZE {}", table)); !done) return done;
  }
  const auto done = connection_->execute(fmt::format(
      "BEGIN; SET LOCAL synchronous_commit = on; {} DELETE FROM schema_versions WHERE version = {};"
      "UPDATE store_copy SET state = 'finished', ended_at = now(); COMMIT",
      sql::kFinish, kCopyInProgress));
  if (!done) return done;
  return read_progress();
}

}  // namespace penstock::postgres_store
