#include "bench/peers/skip_locked_stages.h"

#include <algorithm>
#include <cstdlib>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "adapters/postgres/binary.h"

namespace penstock::peer {
namespace {

using postgres_store::ArrayWriter;
using postgres_store::Connection;
using postgres_store::Failure;
using postgres_store::Parameters;
using postgres_store::Rows;
using postgres_store::Statement;
using postgres_store::to_binary;
namespace type_id = postgres_store::type_id;

[[noreturn]] void give_up(const Failure& failure) {
  fmt::print(stderr, "skip_locked: {} {}\n", failure.sql_state, failure.detail);
  std::exit(1);
}

std::unique_ptr<Connection> connect(const Tuning& tuning) {
  auto opened = Connection::open(
      {.url = tuning.url, .schema = tuning.schema, .name = "skip locked peer"}, tuning.statements);
  if (!opened) give_up(opened.error());
  return *std::move(opened);
}

Rows run(Connection& connection, const Statement& statement, const Parameters& parameters) {
  auto rows = connection.run(statement, parameters);
  if (!rows) give_up(rows.error());
  return *std::move(rows);
}

std::string receipt_of(const Rows& rows, std::size_t row) {
  return fmt::format(
      R"({{"order_id":"{}","tenant_id":"{}","items":[{{"product_id":"{}","quantity":{},)"
      R"("price":"10.00"}}],"total":"{}.{:02}","currency":"USD","capture_reference":"{}",)"
      R"("terms":"Thank you for your order. Goods remain the seller's until they are paid for. )"
      R"(Complaints within fourteen days under the number of the order, please."}})",
      postgres_store::order_id_from(rows.bytes(row, 0)).str(), rows.bytes(row, 1),
      rows.bytes(row, 2), rows.integer(row, 3), rows.integer(row, 4) / 100,
      rows.integer(row, 4) % 100, rows.bytes(row, 5));
}

Parameters ingest_parameters(const std::vector<NewOrder>& batch) {
  ArrayWriter ids(type_id::kUuid);
  ArrayWriter tenants(type_id::kText);
  ArrayWriter customers(type_id::kText);
  ArrayWriter keys(type_id::kText);
  ArrayWriter prints(type_id::kBytea);
  ArrayWriter products(type_id::kText);
  ArrayWriter quantities(type_id::kInt4);
  ArrayWriter prices(type_id::kInt8);
  ArrayWriter methods(type_id::kText);
  for (const NewOrder& order : batch) {
    ids.add(order.id.view());
    tenants.add(order.tenant);
    customers.add(order.customer);
    keys.add(order.key);
    prints.add({reinterpret_cast<const char*>(order.fingerprint.data()), order.fingerprint.size()});
    products.add(order.product);
    quantities.add(to_binary(order.quantity));
    prices.add(to_binary(order.price_minor));
    methods.add(order.payment_method);
  }
  Parameters parameters;
  for (const ArrayWriter* column :
       {&ids, &tenants, &customers, &keys, &prints, &products, &quantities, &prices, &methods}) {
    parameters.add(column->bytes());
  }
  return parameters;
}

}  // namespace

void make_schema(const Tuning& tuning) {
  auto connection =
      Connection::open({.url = tuning.url, .schema = tuning.schema, .name = "peer schema"}, {});
  if (!connection) give_up(connection.error());
  const std::string name = postgres_store::quoted_name(tuning.schema);
  auto made = (*connection)
                  ->execute(fmt::format(
                      "DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}; {1}{2}", name,
                      sql::kSchema, tuning.has_stage_index ? sql::kStageIndex : ""));
  if (!made) give_up(made.error());
}

Pipeline::Pipeline(Tuning tuning) : tuning_(std::move(tuning)) {
  const Step accept = tuning_.ingest == Ingest::grouped ? &Pipeline::ingest : &Pipeline::ingest_one;
  const Step kSteps[] = {accept, &Pipeline::inventory, &Pipeline::payment, &Pipeline::fulfillment,
                         &Pipeline::notification};
  for (std::size_t stage = 0; stage < tuning_.workers.size(); ++stage) {
    for (std::size_t worker = 0; worker < tuning_.workers.at(stage); ++worker) {
      threads_.emplace_back([this, stage, step = kSteps[stage]] { work(stage, step); });
    }
  }
}

Pipeline::~Pipeline() {
  is_over_ = true;
  for (std::size_t stage = 0; stage < bells_.size(); ++stage) ring(stage);
  for (std::thread& thread : threads_) thread.join();
}

std::array<std::uint64_t, 5> Pipeline::batches() const {
  std::array<std::uint64_t, 5> counts{};
  std::ranges::copy(batches_, counts.begin());
  return counts;
}

void Pipeline::ring(std::size_t stage) {
  Bell& bell = bells_.at(stage);
  {
    const std::lock_guard lock(bell.mutex);
    ++bell.rings;
  }
  bell.rung.notify_one();
}

void Pipeline::work(std::size_t stage, Step step) {
  const std::unique_ptr<Connection> connection = connect(tuning_);
  Bell& bell = bells_.at(stage);
  std::uint64_t heard = 0;
  while (!is_over_) {
    {
      const std::lock_guard lock(bell.mutex);
      heard = bell.rings;
    }
    const std::size_t done = (this->*step)(*connection);
    if (done > 0) {
      ++batches_.at(stage);
      if (stage + 1 < bells_.size()) ring(stage + 1);
    }
    if (done >= batch_of(stage)) continue;
    {
      std::unique_lock lock(bell.mutex);
      bell.rung.wait_for(lock, tuning_.idle, [&] { return bell.rings != heard || is_over_; });
    }
    if (stage > 0 && tuning_.gather.count() > 0) std::this_thread::sleep_for(tuning_.gather);
  }
}

std::size_t Pipeline::batch_of(std::size_t stage) const {
  return stage == 0 && tuning_.ingest == Ingest::one_by_one ? 1 : tuning_.batch;
}

void Pipeline::place(NewOrder order) {
  {
    const std::lock_guard lock(placed_mutex_);
    placed_.push_back(std::move(order));
  }
  ring(0);
}

std::vector<NewOrder> Pipeline::take_placed() {
  const std::lock_guard lock(placed_mutex_);
  std::vector<NewOrder> batch;
  const std::size_t count = std::min(placed_.size(), batch_of(0));
  batch.reserve(count);
  for (std::size_t taken = 0; taken < count; ++taken) {
    batch.push_back(std::move(placed_.front()));
    placed_.pop_front();
  }
  return batch;
}

Parameters Pipeline::limit() const {
  Parameters parameters;
  parameters.add(to_binary(static_cast<std::int32_t>(tuning_.batch)));
  return parameters;
}

std::size_t Pipeline::ingest(Connection& connection) {
  const std::vector<NewOrder> batch = take_placed();
  if (batch.empty()) return 0;
  const Rows rows = run(connection, sql::kIngest, ingest_parameters(batch));
  std::unordered_set<domain::OrderId> stored;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    stored.insert(postgres_store::order_id_from(rows.bytes(row, 0)));
  }
  accepted_ += stored.size();
  for (const NewOrder& order : batch) order.stored(stored.contains(order.id));
  return batch.size();
}

std::size_t Pipeline::ingest_one(Connection& connection) {
  const std::vector<NewOrder> taken = take_placed();
  if (taken.empty()) return 0;
  const NewOrder& order = taken.front();
  Parameters parameters;
  parameters.add(to_binary(order.id)).add(order.tenant).add(order.customer).add(order.key);
  parameters.add(
      {reinterpret_cast<const char*>(order.fingerprint.data()), order.fingerprint.size()});
  parameters.add(order.product).add(to_binary(order.quantity)).add(to_binary(order.price_minor));
  parameters.add(order.payment_method);
  const bool is_stored = run(connection, sql::kIngestOne, parameters).size() == 1;
  if (is_stored) ++accepted_;
  order.stored(is_stored);
  return 1;
}

std::size_t Pipeline::inventory(Connection& connection) {
  return static_cast<std::size_t>(run(connection, sql::kInventory, limit()).integer(0, 0));
}

std::size_t Pipeline::payment(Connection& connection) {
  run(connection, sql::kBegin, {});
  const Rows claimed = run(connection, sql::kCharges, limit());
  if (claimed.size() > 0) {
    ArrayWriter ids(type_id::kUuid);
    ArrayWriter references(type_id::kText);
    for (std::size_t row = 0; row < claimed.size(); ++row) {
      // The charge: keyed by the order, captured at once, by a gateway that costs nothing.
      ids.add(claimed.bytes(row, 0));
      references.add("cap_" + postgres_store::order_id_from(claimed.bytes(row, 0)).str());
    }
    run(connection, sql::kCharged, Parameters().add(ids.bytes()).add(references.bytes()));
  }
  run(connection, sql::kCommit, {});
  return claimed.size();
}

std::size_t Pipeline::fulfillment(Connection& connection) {
  run(connection, sql::kBegin, {});
  const Rows claimed = run(connection, sql::kReceipts, limit());
  if (claimed.size() > 0) {
    ArrayWriter ids(type_id::kUuid);
    ArrayWriter receipts(type_id::kBytea);
    for (std::size_t row = 0; row < claimed.size(); ++row) {
      ids.add(claimed.bytes(row, 0));
      receipts.add(receipt_of(claimed, row));
    }
    run(connection, sql::kFulfilled, Parameters().add(ids.bytes()).add(receipts.bytes()));
  }
  run(connection, sql::kCommit, {});
  return claimed.size();
}

std::size_t Pipeline::notification(Connection& connection) {
  const Rows told = run(connection, sql::kNotified, limit());
  ended_ += told.size();
  return told.size();
}

}  // namespace penstock::peer
