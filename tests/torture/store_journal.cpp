#include "tests/torture/store_journal.h"

#include <algorithm>
#include <expected>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <variant>

#include "adapters/rocksdb/store_dump.h"
#include "adapters/rocksdb/store_opener.h"
#include "checker/audit.h"
#include "tests/contract/order_builder.h"

namespace penstock::torture {
namespace {

using checker::ReceiptPresence;
using domain::Charge;
using domain::Duration;
using domain::Order;
using domain::OrderId;
using domain::Status;
using store_contract::OrderBuilder;
namespace steps = store_contract::steps;

constexpr std::int64_t kBurst = 1'000'000;
constexpr std::uint64_t kProducts = 4;
constexpr std::string_view kTenant = "acme";

class StateFeed final : public rocksdb_store::DumpVisitor {
 public:
  explicit StateFeed(ReadStore& read) : read_(read) {}

  void active_order(const Order& order) override {
    state().orders[order.id] = order;
    audit_.add_order(order, ReceiptPresence::absent);
  }
  void ended_order(const Order& order, std::string_view receipt) override {
    state().orders[order.id] = order;
    if (!receipt.empty()) state().receipts.insert(order.id);
    audit_.add_order(order, receipt.empty() ? ReceiptPresence::absent : ReceiptPresence::present);
  }
  void stock(const domain::TenantId& tenant, const domain::ProductId& product,
             const domain::Stock& stock) override {
    state().stock[product.str()] = stock;
    audit_.add_stock(tenant, product, stock);
  }
  void idempotency(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
                   const domain::IdempotencyRecord& record) override {
    state().keys[key.str()] = record.order;
    audit_.add_idempotency(tenant, key.str(), record);
  }
  void bucket(const domain::TenantId&, const rocksdb_store::DumpedBucket& bucket) override {
    const std::int64_t burst = bucket.contract.burst * domain::kMicroTokensPerToken;
    const std::int64_t level =
        bucket.state.virtual_time - std::max(bucket.state.used, bucket.state.virtual_time - burst);
    state().tokens_taken += (burst - level) / domain::kMicroTokensPerToken;
  }
  void contract(const domain::TenantId& tenant, const domain::Contract&) override {
    state().contracts.insert(tenant.str());
  }
  void waiting_notification(const OrderId& order) override {
    state().notifications.insert(order);
    audit_.add_delivery(order);
  }
  void delivery(const OrderId& order, std::int32_t attempt) override {
    state().deliveries[order] = attempt;
    audit_.add_delivery(order);
  }
  void dead_letter(const OrderId& order) override { state().dead_letters.insert(order); }
  void owed_refund(const OrderId& order) override { state().owed_refunds.insert(order); }
  void history_dropped() override { audit_.history_was_dropped(); }
  void corrupt(std::string_view family, std::string_view key) override {
    read_.corrupt.push_back(std::string(family) + "/" + std::string(key));
    audit_.add_unreadable(read_.corrupt.back(), "the record cannot be read");
  }

  void finish() { read_.audit = audit_.finish(); }

 private:
  StoredState& state() { return read_.state; }

  ReadStore& read_;
  checker::Audit audit_;
};

/// One step that the saga could take from here.
domain::Advance some_step(const Order& order, std::uint64_t choice, domain::Instant now) {
  switch (order.status) {
    case Status::placed:
      return choice % 5 == 0 ? steps::cancel(order, now) : steps::next(order, now);
    case Status::reserved:
      if (choice % 6 == 0) return steps::cancel(order, now);
      if (choice % 6 == 1) return steps::decline(order, now);
      if (choice % 6 == 2 && order.attempts < 2) return steps::fail(order, now);
      return steps::capture(order, now);
    case Status::charged:
      return choice % 4 == 0 ? steps::cancel(order, now) : steps::next(order, now);
    default:
      if (order.charge == Charge::open) return steps::close_charge(order, now);
      if (order.charge == Charge::captured) return steps::refund(order, now);
      return steps::next(order, now);
  }
}

ports::Commit commit_of(const Order& read, domain::Advance advance) {
  ports::Commit commit{
      .next = std::move(advance.next), .read = read.version, .stock = advance.stock, .receipt = {}};
  if (commit.next.status == Status::fulfilled) commit.receipt = "{\"receipt\":1}";
  return commit;
}

}  // namespace

void PrintTo(const StoredState& state, std::ostream* out) {
  *out << state.orders.size() << " orders, " << state.keys.size() << " keys, "
       << state.notifications.size() << " notifications, " << state.deliveries.size()
       << " deliveries, " << state.tokens_taken << " tokens";
  for (const auto& [id, order] : state.orders) {
    *out << "\n  " << id.str() << " version " << order.version.number << " "
         << domain::to_string(order.status);
  }
  for (const auto& [product, stock] : state.stock) {
    *out << "\n  " << product << ": " << stock.received << " received, " << stock.reserved
         << " reserved, " << stock.sold << " sold";
  }
}

std::expected<ReadStore, std::string> read_store(const std::string& path, rocksdb::Env* env) {
  ReadStore read;
  StateFeed feed(read);
  const auto done = rocksdb_store::dump(path, feed, env);
  if (!done) return std::unexpected(done.error().detail);
  feed.finish();
  return read;
}

StoreWork::StoreWork(std::uint64_t seed, rocksdb_store::RocksStore& store, domain::Now now)
    : random_(seed), store_(&store), now_(now) {}

void StoreWork::go_on_with(rocksdb_store::RocksStore& store) {
  store_ = &store;
  batches_.clear();  // they are taken anew
}

ports::Command StoreWork::accept() {
  OrderBuilder builder(++orders_);
  const std::uint64_t lines = 1 + draw(2);
  for (std::uint64_t line = 0; line < lines; ++line) {
    builder.item("P" + std::to_string(draw(kProducts)), static_cast<std::int32_t>(1 + draw(2)));
  }
  // Some are larger than a block of the log.
  if (draw(12) == 0) {
    std::string noise;
    for (int i = 0; i < 20'000; ++i) noise += static_cast<char>('a' + draw(26));
    builder.metadata("noise", noise + noise);
  }
  const Order placed = builder.placed(now_.wall);
  ports::Accept accept;
  if (draw(2) == 0) {
    accept.commit.next = placed;
  } else {
    domain::Advance reserved = steps::next(placed, now_.wall);
    accept.commit.next = std::move(reserved.next);
    accept.commit.stock = reserved.stock;
  }
  if (draw(3) != 0) {
    const std::string key = "key-" + std::to_string(orders_);
    accept.idempotency = {.key = domain::IdempotencyKey::unchecked(key), .fingerprint = {7}};
  }
  return accept;
}

std::optional<ports::Command> StoreWork::step_of_some_order() {
  std::vector<const Order*> open;
  for (const auto& [id, order] : state_.orders) {
    if (!domain::is_terminal(order.status) && !touched_.contains(id)) open.push_back(&order);
  }
  if (open.empty()) return std::nullopt;
  const Order& read = *open[draw(open.size())];
  touched_.insert(read.id);
  return commit_of(read, some_step(read, draw(60), now_.wall));
}

std::vector<ports::Command> StoreWork::batch() {
  std::vector<ports::Command> commands;
  touched_.clear();
  finishing_.clear();
  const auto taken = store_->take_terminal_batches(10).value();
  for (const ports::TerminalBatch& batch : taken) {
    for (const auto& entry : batch.entries) batches_[batch.sequence].push_back(entry.order);
  }
  for (std::uint64_t count = 1 + draw(5); count > 0; --count) {
    const std::uint64_t kind = draw(12);
    const auto tenant = domain::TenantId::unchecked(std::string(kTenant));
    const auto product = domain::ProductId::unchecked("P" + std::to_string(draw(kProducts)));
    if (kind == 0) {
      commands.emplace_back(ports::SetStock{
          .tenant = tenant, .product = product, .on_hand = static_cast<std::int64_t>(draw(15))});
    } else if (kind == 1) {
      commands.emplace_back(ports::Restock{
          .tenant = tenant, .product = product, .quantity = static_cast<std::int64_t>(draw(9))});
    } else if (kind == 2 && draw(3) == 0) {
      commands.emplace_back(ports::PutContract{
          .tenant = domain::TenantId::unchecked("tenant-" + std::to_string(draw(50))),
          .contract = {.bucket = {.rate = {.micro_tokens = 5}, .burst = 3},
                       .guarantee = std::nullopt,
                       .weight = 2,
                       .webhook = std::nullopt}});
    } else if (kind == 3 && !batches_.empty() && finishing_.empty()) {
      const auto& [sequence, ended] = *batches_.begin();
      finishing_.insert(sequence);
      ports::FinishTerminalBatch finish{.sequence = sequence, .deliveries = {}};
      if (draw(2) == 0) finish.deliveries = ended;
      commands.emplace_back(std::move(finish));
    } else if (kind == 4 && !state_.deliveries.empty() && touched_.empty()) {
      const auto& [order, attempt] = *state_.deliveries.begin();
      touched_.insert(order);
      ports::DeliveryAttempt end{
          .order = order, .attempt = attempt, .reason = domain::Reason::delivered, .next_due = {}};
      if (draw(2) == 0) {
        end.reason = domain::Reason::delivery_failed;
        end.next_due = now_.wall + Duration::seconds(5);
      }
      commands.emplace_back(end);
    } else if (kind < 8) {
      commands.push_back(accept());
    } else if (auto step = step_of_some_order()) {
      commands.push_back(std::move(*step));
    }
  }
  // A batch without a write would be no moment of its own.
  if (commands.empty()) commands.push_back(accept());
  return commands;
}

bool StoreWork::apply_batch() {
  now_.wall = now_.wall + Duration{1 + static_cast<std::int64_t>(draw(3'000'000))};
  now_.monotonic.ns += 1'000'000;
  std::vector<ports::Command> commands = batch();
  const std::vector<ports::Command> given = commands;
  const auto results = store_->apply(commands, now_);
  if (!results) return false;
  for (std::size_t i = 0; i < given.size(); ++i) take(given[i], results->at(i));
  // Reserved and sold follow from the orders.
  for (auto& [product, received] : received_) {
    domain::Stock& stock = state_.stock[product];
    stock = {.received = received, .reserved = 0, .sold = 0};
    for (const auto& [id, order] : state_.orders) {
      for (const domain::Item& item : order.items) {
        if (item.product.str() != product) continue;
        if (order.holds_stock) stock.reserved += item.quantity;
        if (order.status == Status::fulfilled) stock.sold += item.quantity;
      }
    }
  }
  return true;
}

void StoreWork::store(const Order& order) {
  state_.orders[order.id] = order;
  if (order.status == Status::fulfilled) state_.receipts.insert(order.id);
  if (domain::is_terminal(order.status)) state_.notifications.insert(order.id);
  if (domain::owes_refund(order)) {
    state_.owed_refunds.insert(order.id);
  } else {
    state_.owed_refunds.erase(order.id);
  }
  if (order.dead_letter) state_.dead_letters.insert(order.id);
}

void StoreWork::take(const ports::Command& command, const ports::CommandResult& result) {
  if (const auto* accept = std::get_if<ports::Accept>(&command)) {
    const auto& answer = std::get<ports::AcceptResult>(result);
    if (answer.outcome != ports::AcceptOutcome::accepted) throw std::logic_error("not accepted");
    store(*answer.order);
    ++state_.tokens_taken;
    if (accept->idempotency) state_.keys[accept->idempotency->key.str()] = answer.order->id;
  } else if (const auto* commit = std::get_if<ports::Commit>(&command)) {
    const auto& answer = std::get<ports::CommitResult>(result);
    const bool is_committed = answer.outcome == ports::CommitOutcome::committed;
    if (!is_committed && answer.outcome != ports::CommitOutcome::short_of_stock) {
      throw std::logic_error("not committed");
    }
    store(is_committed ? commit->next : *answer.current);
  } else if (const auto* stock = std::get_if<ports::StockResult>(&result)) {
    if (!stock->stock) return;
    const auto* set = std::get_if<ports::SetStock>(&command);
    const std::string product =
        set != nullptr ? set->product.str() : std::get<ports::Restock>(command).product.str();
    received_[product] = stock->stock->received;
  } else if (const auto* put = std::get_if<ports::PutContract>(&command)) {
    state_.contracts.insert(put->tenant.str());
  } else if (const auto* finish = std::get_if<ports::FinishTerminalBatch>(&command)) {
    for (const OrderId& ended : batches_.at(finish->sequence)) state_.notifications.erase(ended);
    for (const OrderId& order : finish->deliveries) state_.deliveries[order] = 1;
    batches_.erase(finish->sequence);
  } else if (const auto* attempt = std::get_if<ports::DeliveryAttempt>(&command)) {
    if (attempt->next_due) {
      state_.deliveries[attempt->order] = attempt->attempt + 1;
    } else {
      state_.deliveries.erase(attempt->order);
    }
  }
}

rocksdb_store::RocksStoreOptions journal_options(const std::string& path) {
  rocksdb_store::RocksStoreOptions options;
  options.path = path;
  options.boot_id = "boot";
  options.now = {.wall = *domain::parse_rfc3339("2026-11-22T16:00:00Z"),
                 .monotonic = {1'000'000'000'000}};
  options.clock_check = rocksdb_store::ClockCheck::accepted;
  options.memtable_bytes = 8U << 20;
  // A bucket that does not refill within a test counts the orders exactly.
  options.default_contract.bucket = {.rate = {.micro_tokens = 1, .period_ns = 86'400'000'000'000},
                                     .burst = kBurst};
  return options;
}

Journal record(const JournalOptions& options) {
  Journal journal;
  journal.options = journal_options("/disk/new/store");
  journal.options.write_ahead_bytes = options.write_ahead_bytes;
  RecordedDisk disk;
  const auto open = [&](domain::Now now) {
    journal.options.now = now;
    auto opened = rocksdb_store::StoreOpener::open(journal.options, disk.env());
    if (!opened) throw std::runtime_error("the store does not open: " + opened.error().detail);
    return std::move(*opened);
  };
  auto store = open(journal.options.now);
  StoreWork work(options.seed, *store, journal.options.now);
  journal.marks.push_back({.begun = 0, .returned = disk.steps(), .state = {}});
  for (int batch = 1; batch <= options.batches; ++batch) {
    const std::size_t begun = disk.steps();
    if (!work.apply_batch()) throw std::runtime_error("the store has failed");
    journal.marks.push_back({.begun = begun, .returned = disk.steps(), .state = work.state()});
    // Room for what RocksDB writes in the background; what comes of it is recorded, not judged.
    disk.env()->SleepForMicroseconds(300);
    if (batch % (options.batches / options.starts) != 0 || batch == options.batches) continue;
    store.reset();
    store = open(work.now());
    work.go_on_with(*store);
  }
  journal.content = disk.content();
  store.reset();
  journal.history = disk.history();
  return journal;
}

}  // namespace penstock::torture
