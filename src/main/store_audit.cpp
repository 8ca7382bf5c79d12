#include "main/store_audit.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "adapters/postgres/postgres_store_options.h"
#include "adapters/postgres/store_dump.h"
#include "adapters/rocksdb/store_dump.h"
#include "checker/audit.h"
#include "checker/history.h"
#include "cli/history_file.h"
#include "gateway/ledger_line.h"

namespace penstock::main {
namespace {

namespace fs = std::filesystem;
using checker::ReceiptPresence;

/// The two judges of a store at rest: the audit of what is there, and the history that also knows
/// what clients were told.
struct AuditJudge {
  checker::Audit& audit;

  void order(const domain::Order& order, ReceiptPresence receipt) {
    audit.add_order(order, receipt);
  }
  void stock(const domain::TenantId& tenant, const domain::ProductId& product,
             const domain::Stock& stock) {
    audit.add_stock(tenant, product, stock);
  }
  void key(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
           const domain::IdempotencyRecord& record) {
    audit.add_idempotency(tenant, key.str(), record);
  }
  void delivery(const domain::OrderId& order) { audit.add_delivery(order); }
  void unreadable(std::string subject, std::string detail) {
    audit.add_unreadable(std::move(subject), std::move(detail));
  }
  void dropped() { audit.history_was_dropped(); }
};

struct HistoryJudge {
  checker::History& history;

  void order(const domain::Order& order, ReceiptPresence receipt) {
    history.add_final_order(order, receipt);
  }
  void stock(const domain::TenantId& tenant, const domain::ProductId& product,
             const domain::Stock& stock) {
    history.add_final_stock(tenant, product, stock);
  }
  void key(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
           const domain::IdempotencyRecord& record) {
    history.add_final_key(tenant, key, record);
  }
  void delivery(const domain::OrderId& order) {
    history.add_final_delivery(order, checker::FinalDelivery::pending);
  }
  void unreadable(std::string subject, std::string detail) {
    history.add_unreadable(std::move(subject), std::move(detail));
  }
  void dropped() { history.history_was_dropped(); }
};

/// Hands what a store tells to a judge. `Visitor` is the store's.
template <typename Visitor, typename Judge>
class Feed final : public Visitor {
 public:
  explicit Feed(Judge judge) : judge_(judge) {}

  void active_order(const domain::Order& order) override {
    judge_.order(order, ReceiptPresence::absent);
  }
  void ended_order(const domain::Order& order, std::string_view receipt) override {
    judge_.order(order, receipt.empty() ? ReceiptPresence::absent : ReceiptPresence::present);
  }
  void stock(const domain::TenantId& tenant, const domain::ProductId& product,
             const domain::Stock& stock) override {
    judge_.stock(tenant, product, stock);
  }
  void idempotency(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
                   const domain::IdempotencyRecord& record) override {
    judge_.key(tenant, key, record);
  }
  void waiting_delivery(const domain::OrderId& order) override { judge_.delivery(order); }
  void history_dropped() override { judge_.dropped(); }
  void corrupt(std::string_view place, std::string_view record) override {
    judge_.unreadable(fmt::format("{}/{}", place, record), "it cannot be read");
  }

 private:
  Judge judge_;
};

/// Where the orders are: a store's directory, or a database.
struct StoreSource {
  std::string directory;
  std::string database_url;
};

/// A movement of the gateway's ledger; nothing if the line cannot be read.
std::optional<checker::Movement> movement_of(std::string_view text, std::string& scratch) {
  auto const line = gateway::parse_line(text, scratch);
  auto const order = line ? domain::OrderId::parse(line->order_id) : std::nullopt;
  auto const currency = line ? domain::Currency::parse(line->currency) : std::nullopt;
  bool const moves =
      line && (line->type == gateway::LineType::capture || line->type == gateway::LineType::refund);
  if (!moves || !order || !currency) return std::nullopt;
  return checker::Movement{.kind = line->type == gateway::LineType::capture
                                       ? checker::MovementKind::capture
                                       : checker::MovementKind::refund,
                           .order = *order,
                           .key = std::string(line->key),
                           .amount = {.minor_units = line->minor_units, .currency = *currency}};
}

/// Whole lines one by one: one that its process did not finish was never answered. The sink tells
/// whether it could read the line.
std::expected<void, std::string> each_line(const std::string& path,
                                           const std::function<bool(std::string_view)>& sink,
                                           const std::function<void(std::uint64_t)>& unreadable) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(fmt::format("{} cannot be read", path));
  std::string line;
  for (std::uint64_t number = 1; std::getline(file, line); ++number) {
    if (!file.eof() && !sink(line)) unreadable(number);
  }
  return {};
}

template <typename Judge>
std::expected<void, std::string> feed_store(const StoreSource& source, Judge judge) {
  if (!source.database_url.empty()) {
    Feed<ports::DumpVisitor, Judge> feed{judge};
    auto const dumped =
        postgres_store::dump({.url = source.database_url,
                              .schema = postgres_store::PostgresStoreOptions{}.schema,
                              .name = "penstock check"},
                             feed);
    if (dumped) return {};
    return std::unexpected(fmt::format("the database: {}", dumped.error().text()));
  }
  Feed<rocksdb_store::DumpVisitor, Judge> feed{judge};
  auto const dumped = rocksdb_store::dump(source.directory, feed);
  if (dumped) return {};
  return std::unexpected(fmt::format("{}: {} ({})", source.directory, dumped.error().detail,
                                     domain::to_string(dumped.error().code)));
}

std::expected<checker::Report, std::string> audit_at_rest(const StoreSource& store,
                                                          const std::string& ledger) {
  checker::Audit audit;
  if (auto const fed = feed_store(store, AuditJudge{audit}); !fed) {
    return std::unexpected(fed.error());
  }
  if (!ledger.empty()) {
    audit.use_ledger(checker::LedgerScope::this_store);
    std::string scratch;
    auto const sink = [&](std::string_view line) {
      auto const movement = movement_of(line, scratch);
      if (movement) audit.add_movement(*movement);
      return movement.has_value();
    };
    auto const fed = each_line(ledger, sink, [&](std::uint64_t number) {
      audit.add_unreadable(fmt::format("ledger line {}", number),
                           "the ledger's line cannot be read");
    });
    if (!fed) return std::unexpected(fed.error());
  }
  return audit.finish();
}

/// The ledger and the deliveries behind the clients' events: each of them has an order of its own,
/// and no time in common with the clients.
std::expected<void, std::string> feed_witnesses(const StoreAuditOptions& options,
                                                const std::string& ledger, domain::Instant at,
                                                checker::History& history) {
  std::string scratch;
  auto const movement = [&](std::string_view line) {
    auto const read = movement_of(line, scratch);
    if (!read) return false;
    checker::GatewayAct const act{read->key, read->order, read->amount};
    if (read->kind == checker::MovementKind::capture) {
      history.add({at, checker::Captured{act}});
    } else {
      history.add({at, checker::Refunded{act}});
    }
    return true;
  };
  auto const delivery = [&](std::string_view line) {
    auto delivered = cli::parse_delivery(line);
    if (!delivered) return false;
    history.add({at, std::move(*delivered)});
    return true;
  };
  auto const unreadable_in = [&](std::string_view what) {
    return [&history, what](std::uint64_t number) {
      history.add_unreadable(fmt::format("{} line {}", what, number), "it cannot be read");
    };
  };
  if (!ledger.empty()) {
    auto const fed = each_line(ledger, movement, unreadable_in("ledger"));
    if (!fed) return std::unexpected(fed.error());
  }
  if (options.webhooks_path.empty()) return {};
  return each_line(options.webhooks_path, delivery, unreadable_in("webhooks"));
}

std::expected<checker::Report, std::string> audit_history(const StoreAuditOptions& options,
                                                          const StoreSource& store,
                                                          const std::string& ledger) {
  auto file = cli::HistoryFile::open(options.history_path);
  if (!file) return std::unexpected(file.error());
  checker::HistoryOptions judged = file->options();
  if (!ledger.empty()) judged.ledger = checker::LedgerFeed::followed;
  checker::History history(judged);
  while (true) {
    auto event = file->next();
    if (!event) return std::unexpected(event.error());
    if (!*event) break;
    history.add(**event);
  }
  auto const fed = feed_witnesses(options, ledger, file->last(), history);
  if (!fed) return std::unexpected(fed.error());
  if (auto const dumped = feed_store(store, HistoryJudge{history}); !dumped) {
    return std::unexpected(dumped.error());
  }
  checker::Report report = history.finish(file->quiescence());
  if (!options.webhooks_path.empty()) report.use(checker::Evidence::webhooks);
  return report;
}

}  // namespace

std::expected<checker::Report, std::string> audit_store(const StoreAuditOptions& options) {
  StoreSource const store{.directory = options.store_directory.empty()
                                           ? options.data_directory + "/store"
                                           : options.store_directory,
                          .database_url = options.database_url};
  if (store.database_url.empty() && !fs::exists(store.directory + "/CURRENT")) {
    return std::unexpected(fmt::format("{} holds no store", options.store_directory.empty()
                                                                ? options.data_directory
                                                                : options.store_directory));
  }
  std::string const own_ledger = options.data_directory + "/sandbox-ledger.jsonl";
  std::string const ledger =
      options.ledger_path.empty() && store.database_url.empty() && fs::exists(own_ledger)
          ? own_ledger
          : options.ledger_path;
  if (options.history_path.empty()) {
    if (options.webhooks_path.empty()) return audit_at_rest(store, ledger);
    return std::unexpected("--webhooks needs --history: it says whose orders are delivered");
  }
  return audit_history(options, store, ledger);
}

}  // namespace penstock::main
