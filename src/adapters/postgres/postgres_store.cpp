#include "adapters/postgres/postgres_store.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <map>
#include <string_view>

#include <boost/json.hpp>

#include "adapters/postgres/batch.h"
#include "adapters/postgres/binary.h"
#include "adapters/postgres/migrations.h"
#include "adapters/postgres/order_codec.h"
#include "adapters/postgres/statements.h"
#include "domain/check.h"

namespace penstock::postgres_store {
namespace {

using domain::Order;
using domain::OrderId;
using ports::StoreError;

/// Terminal batches that are taken at once where the next ones are wanted soon.
constexpr std::size_t kOutboxAhead = 8;

/// As ports::Clock has it, and as the system's clock reads it.
domain::MonotonicTime monotonic_now() {
  timespec reading{};
  ::clock_gettime(CLOCK_BOOTTIME, &reading);
  return {std::int64_t{reading.tv_sec} * 1'000'000'000 + reading.tv_nsec};
}

/// Counting may take a tenth of the time at most.
constexpr int kDepthShare = 10;

bool is_valid_node(std::string_view name) {
  return name.size() <= kMaxNodeNameBytes && domain::CorrelationTag::is_valid(name);
}

std::int32_t bounded(std::size_t limit) {
  return static_cast<std::int32_t>(std::min(limit, domain::limits::kMaxInFlight));
}

std::optional<std::vector<ports::TerminalBatch::Entry>> entries_from(std::string_view jsonb) {
  namespace json = boost::json;
  json::error_code error;
  const json::value parsed = json::parse({jsonb.data() + 1, jsonb.size() - 1}, error);
  if (error || !parsed.is_array()) return std::nullopt;
  std::vector<ports::TerminalBatch::Entry> entries;
  for (const json::value& each : parsed.get_array()) {
    const json::array* entry = each.if_array();
    if (entry == nullptr || entry->size() != 3) return std::nullopt;
    const auto* id = (*entry)[0].if_string();
    const auto* tenant = (*entry)[1].if_string();
    const auto* status = (*entry)[2].if_int64();
    const auto order = id == nullptr ? std::nullopt : OrderId::parse({id->data(), id->size()});
    if (!order || tenant == nullptr || status == nullptr) return std::nullopt;
    entries.push_back({.order = *order,
                       .tenant = domain::TenantId::unchecked({tenant->data(), tenant->size()}),
                       .status = static_cast<domain::Status>(*status)});
  }
  return entries;
}

}  // namespace

PostgresStore::PostgresStore(PostgresStoreOptions options)
    : options_(std::move(options)),
      reachability_(options_.reachability_changed,
                    std::chrono::microseconds(options_.timeout.us / 2)),
      reader_(options_, &reachability_),
      lanes_(options_, reachability_),
      active_shares_(options_.max_active, options_.depth_age),
      last_tenants_(domain::kStages + 1) {}

std::expected<std::unique_ptr<PostgresStore>, Failure> PostgresStore::open(
    PostgresStoreOptions options) {
  if (!is_valid_node(options.node)) {
    return std::unexpected(Failure{.error = StoreError::unavailable,
                                   .sql_state = "22023",
                                   .detail = "\"" + options.node + "\" is no node name"});
  }
  if (!options.last_call) options.last_call = std::make_shared<LastCall>();
  const ConnectionOptions first{.url = options.url,
                                .schema = options.schema,
                                .name = "penstock " + options.node,
                                .connect_timeout = options.connect_timeout,
                                .timeout = options.timeout,
                                .last_call = options.last_call};
  // Without the functions nothing can be prepared, so the version is looked at before.
  auto connection = Connection::open(first, {});
  if (!connection) return std::unexpected(std::move(connection.error()));
  if (auto checked = check_schema_version(**connection, options.schema); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  connection->reset();
  std::unique_ptr<PostgresStore> store(new PostgresStore(std::move(options)));
  if (auto opened = store->session().open(); !opened) {
    return std::unexpected(std::move(opened.error()));
  }
  if (auto begun = store->begin_run(); !begun) return std::unexpected(std::move(begun.error()));
  return store;
}

std::expected<void, Failure> PostgresStore::begin_run() {
  const domain::MonotonicTime before = monotonic_now();
  const auto times = session().run(statements::kNextDue, {});
  if (!times) return std::unexpected(times.error());
  clock_.learn(instant_from(times->bytes(0, 1)), before, monotonic_now());
  const auto begun = session().run(statements::kBeginRun, Parameters().add(options_.node));
  if (!begun) return std::unexpected(begun.error());
  recovery_.unclean_ends = static_cast<std::int32_t>(begun->integer(0, 0));
  if (const auto orders = array_from(begun->bytes(0, 1))) {
    for (const auto& order : *orders) {
      if (order) recovery_.interrupted.push_back(order_id_from(*order));
    }
  }
  recovery_.active = static_cast<std::size_t>(begun->integer(0, 2));
  active_seen_ = recovery_.active;
  return {};
}

StoreError PostgresStore::note(const Failure& failure) {
  last_failure_ = failure.text();
  if (failure.error == StoreError::corrupt) stopped_ = StoreError::corrupt;
  return failure.error;
}

StoreError PostgresStore::note_corrupt(const char* what) {
  return note({.error = StoreError::corrupt, .sql_state = "XX001", .detail = what});
}

std::expected<void, StoreError> PostgresStore::close() {
  if (stopped_) return std::unexpected(*stopped_);
  give_back(held_.take_older_than(HeldOrders::Clock::time_point::max()));
  auto ended = run(statements::kEndRun, Parameters().add(options_.node));
  if (!ended) return std::unexpected(ended.error());
  stopped_ = StoreError::stopped;
  return {};
}

std::optional<Call> PostgresStore::release_call() const {
  if (releases_.empty()) return std::nullopt;
  ArrayWriter orders(type_id::kUuid);
  ArrayWriter dues(type_id::kTimestamp);
  for (const auto& [order, due] : releases_) {
    orders.add(order.view());
    dues.add(to_binary(due));
  }
  Parameters parameters;
  parameters.add(options_.node).add(orders.bytes()).add(dues.bytes());
  return Call{.statement = &statements::kRelease, .parameters = std::move(parameters)};
}

std::expected<void, StoreError> PostgresStore::flush_releases() {
  const auto call = release_call();
  if (!call) return {};
  releases_.clear();
  const auto done = session().run(*call->statement, call->parameters);
  if (!done) return std::unexpected(note(done.error()));
  return {};
}

std::expected<Rows, StoreError> PostgresStore::run(const Statement& statement,
                                                   const Parameters& parameters) {
  if (stopped_) return std::unexpected(*stopped_);
  if (auto flushed = flush_releases(); !flushed) return std::unexpected(flushed.error());
  auto rows = session().run(statement, parameters);
  if (!rows) return std::unexpected(note(rows.error()));
  return *std::move(rows);
}

bool PostgresStore::is_worth_asking(unsigned source) {
  const std::uint32_t bit = 1U << source;
  const bool has_news = (news_.fetch_and(~bit) & bit) != 0;
  return has_news || std::chrono::steady_clock::now() >= ask_again_.at(source);
}

void PostgresStore::found_no_more(unsigned source) {
  ask_again_.at(source) =
      std::chrono::steady_clock::now() + std::chrono::microseconds(options_.empty_pause.us);
}

std::expected<std::optional<Order>, StoreError> PostgresStore::claim_one(const OrderId& order) {
  if (auto held = held_.take_one(order)) return held;
  const auto rows = run(statements::kClaimOne, Parameters()
                                                   .add(options_.node)
                                                   .add(to_binary(order))
                                                   .add(interval_to_binary(options_.lease)));
  if (!rows) return std::unexpected(rows.error());
  auto orders = decode_orders(*rows);
  if (!orders) return std::unexpected(note_corrupt("a claimed order has another form"));
  if (orders->empty()) return std::nullopt;
  return std::move(orders->front());
}

void PostgresStore::release(const OrderId& order, domain::Instant due) {
  releases_.emplace_back(order, due);
  if (releases_.size() >= kMaxPendingReleases && !flush_releases()) releases_.clear();
}

std::expected<void, StoreError> PostgresStore::mark(std::span<const OrderId> orders) {
  ArrayWriter ids(type_id::kUuid);
  for (const OrderId& order : orders) ids.add(order.view());
  const auto done = run(statements::kMark, Parameters().add(options_.node).add(ids.bytes()));
  if (!done) return std::unexpected(done.error());
  return {};
}

std::expected<void, StoreError> PostgresStore::settled() {
  const auto done = run(statements::kSettled, Parameters().add(options_.node));
  if (!done) return std::unexpected(done.error());
  recovery_.unclean_ends = 0;
  return {};
}

Parameters PostgresStore::taker(std::size_t limit) const {
  Parameters parameters;
  parameters.add(options_.node)
      .add(to_binary(bounded(limit)))
      .add(interval_to_binary(options_.lease));
  return parameters;
}

std::expected<std::vector<ports::TerminalBatch>, StoreError> PostgresStore::take_terminal_batches(
    std::size_t limit) {
  std::vector<ports::TerminalBatch> taken;
  if (taken_ahead_.empty() && is_worth_asking(kOutbox)) {
    if (auto asked = take_ahead(limit); !asked) return std::unexpected(asked.error());
  }
  while (taken.size() < limit && !taken_ahead_.empty()) {
    taken.push_back(std::move(taken_ahead_.back()));
    taken_ahead_.pop_back();
  }
  return taken;
}

std::expected<void, StoreError> PostgresStore::take_ahead(std::size_t limit) {
  // One more than is wanted tells whether there are more; without a pause nobody asks for that.
  const bool looks_ahead = options_.empty_pause > domain::Duration{};
  const std::size_t asked = looks_ahead ? std::max(limit + 1, kOutboxAhead) : limit;
  const auto rows = run(statements::kTakeOutbox, taker(asked));
  if (!rows) return std::unexpected(rows.error());
  std::vector<ports::TerminalBatch>& taken = taken_ahead_;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    auto entries = entries_from(rows->bytes(row, 1));
    if (!entries) return std::unexpected(note_corrupt("a terminal batch has another form"));
    taken.push_back({.sequence = static_cast<std::uint64_t>(rows->integer(row, 0)),
                     .entries = *std::move(entries)});
  }
  std::ranges::reverse(taken);
  if (taken.size() < asked) found_no_more(kOutbox);
  return {};
}

std::expected<std::vector<ports::Delivery>, StoreError> PostgresStore::take_deliveries(
    std::size_t limit, domain::Now, std::span<const domain::TenantId> left_out) {
  if (!is_worth_asking(kDeliveries)) return std::vector<ports::Delivery>{};
  Parameters parameters = taker(limit);
  if (!left_out.empty()) {
    ArrayWriter tenants(type_id::kText);
    for (const domain::TenantId& tenant : left_out) tenants.add(tenant.str());
    parameters.add(tenants.bytes());
  }
  const auto rows =
      run(left_out.empty() ? statements::kTakeDeliveries : statements::kTakeOtherDeliveries,
          parameters);
  if (!rows) return std::unexpected(rows.error());
  std::vector<ports::Delivery> taken;
  taken.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) {
    taken.push_back({.order = order_id_from(rows->bytes(row, 0)),
                     .tenant = domain::TenantId::unchecked(std::string(rows->bytes(row, 1))),
                     .attempt = static_cast<std::int32_t>(rows->integer(row, 2))});
  }
  if (taken.size() < limit) found_no_more(kDeliveries);
  return taken;
}

void PostgresStore::count_depth() {
  const auto started = std::chrono::steady_clock::now();
  if (options_.depth_age > domain::Duration{} && started < depth_due_) return;
  const auto rows = run(statements::kDepths, {});
  if (!rows) return;
  const auto active = run(statements::kActive, {});
  if (!active) return;
  ports::StoreDepth depth;
  const auto number = [&](std::size_t row, int column) {
    return static_cast<std::size_t>(rows->integer(row, column));
  };
  for (std::size_t row = 0; row < rows->size(); ++row) {
    ports::StageDepth& stage = depth.stages.at(number(row, 0));
    stage = {.ready = number(row, 1),
             .leased = number(row, 2),
             .dead_letters = number(row, 3),
             .oldest = std::nullopt};
    if (!rows->is_null(row, 4)) stage.oldest = instant_from(rows->bytes(row, 4));
    depth.open_dead_letters += stage.dead_letters;
    depth.owed_refunds += number(row, 5);
    depth.terminal_batches += number(row, 6);
    depth.deliveries += number(row, 7);
  }
  for (std::size_t stage = 0; stage < depth.stages.size(); ++stage) {
    // What is held waits for this process's next claim: leased it is for the others.
    const std::size_t held =
        std::min(depth.stages[stage].leased, held_.size(static_cast<domain::Stage>(stage)));
    depth.stages[stage].leased -= held;
    depth.stages[stage].ready += held;
  }
  depth.active = static_cast<std::size_t>(std::max<std::int64_t>(0, active->integer(0, 0)));
  count_by_tenant(depth);
  depth_ = std::move(depth);
  const auto ended = std::chrono::steady_clock::now();
  depth_due_ = ended + std::max<std::chrono::steady_clock::duration>(
                           std::chrono::microseconds(options_.depth_age.us),
                           kDepthShare * (ended - started));
}

ports::StoreDepth PostgresStore::depth() const {
  // Looking needs the connection, which belongs to the one thread that calls.
  const_cast<PostgresStore*>(this)->count_depth();
  return depth_;
}

// Whoever only takes orders in, or has none, still has to know whether commits work.
void PostgresStore::probe_if_idle() {
  if (options_.probe_every == domain::Duration{} || stopped_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < probe_due_) return;
  probe_due_ = now + std::chrono::microseconds(options_.probe_every.us);
  if (const auto tried = session().probe(); !tried) note(tried.error());
}

void PostgresStore::ask_next_due() {
  probe_if_idle();
  if (!is_worth_asking(kTimes)) return;
  const domain::MonotonicTime before = monotonic_now();
  const auto rows = run(statements::kNextDue, {});
  next_due_.reset();
  if (rows) clock_.learn(instant_from(rows->bytes(0, 1)), before, monotonic_now());
  if (rows && !rows->is_null(0, 0)) next_due_ = instant_from(rows->bytes(0, 0));
  found_no_more(kTimes);
}

std::optional<domain::Instant> PostgresStore::next_due() const {
  const_cast<PostgresStore*>(this)->ask_next_due();
  return next_due_;
}

}  // namespace penstock::postgres_store
