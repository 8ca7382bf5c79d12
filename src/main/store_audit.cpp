#include "main/store_audit.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "adapters/rocksdb/store_dump.h"
#include "checker/audit.h"
#include "gateway/ledger_line.h"

namespace penstock::main {
namespace {

namespace fs = std::filesystem;
using checker::ReceiptPresence;

class AuditFeed final : public rocksdb_store::DumpVisitor {
 public:
  explicit AuditFeed(checker::Audit& audit) : audit_(audit) {}

  void active_order(const domain::Order& order) override {
    audit_.add_order(order, ReceiptPresence::absent);
  }
  void ended_order(const domain::Order& order, std::string_view receipt) override {
    audit_.add_order(order, receipt.empty() ? ReceiptPresence::absent : ReceiptPresence::present);
  }
  void stock(const domain::TenantId& tenant, const domain::ProductId& product,
             const domain::Stock& stock) override {
    audit_.add_stock(tenant, product, stock);
  }
  void idempotency(const domain::TenantId& tenant, const domain::IdempotencyKey& key,
                   const domain::IdempotencyRecord& record) override {
    audit_.add_idempotency(tenant, key.str(), record);
  }
  void waiting_notification(const domain::OrderId& order, domain::Status) override {
    audit_.add_delivery(order);
  }
  void waiting_delivery(const domain::OrderId& order, std::int32_t, domain::Instant) override {
    audit_.add_delivery(order);
  }
  void corrupt(std::string_view family, std::string_view key) override {
    audit_.add_unreadable(fmt::format("{}/{}", family, key), "the record cannot be read");
  }
  void history_dropped(domain::Month) override { audit_.history_was_dropped(); }
  void bucket(const domain::TenantId&, const rocksdb_store::DumpedBucket&) override {}
  void contract(const domain::TenantId&, const domain::Contract&) override {}
  void dead_letter(const domain::OrderId&) override {}
  void owed_refund(const domain::OrderId&) override {}

 private:
  checker::Audit& audit_;
};

/// A line that the gateway's process did not finish is no movement: it was never answered.
void feed_line(std::string_view text, const std::string& subject, std::string& scratch,
               checker::Audit& audit) {
  auto const line = gateway::parse_line(text, scratch);
  auto const order = line ? domain::OrderId::parse(line->order_id) : std::nullopt;
  auto const currency = line ? domain::Currency::parse(line->currency) : std::nullopt;
  bool const moves =
      line && (line->type == gateway::LineType::capture || line->type == gateway::LineType::refund);
  if (!moves || !order || !currency) {
    audit.add_unreadable(subject, "the ledger's line cannot be read");
    return;
  }
  audit.add_movement({.kind = line->type == gateway::LineType::capture
                                  ? checker::MovementKind::capture
                                  : checker::MovementKind::refund,
                      .order = *order,
                      .key = std::string(line->key),
                      .amount = {.minor_units = line->minor_units, .currency = *currency}});
}

std::expected<void, std::string> feed_ledger(const std::string& path, checker::Audit& audit) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(fmt::format("{} cannot be read", path));
  audit.use_ledger(checker::LedgerScope::this_store);
  std::string line;
  std::string scratch;
  for (std::uint64_t number = 1; std::getline(file, line); ++number) {
    bool const torn = file.eof();
    if (!torn) feed_line(line, fmt::format("ledger line {}", number), scratch, audit);
  }
  return {};
}

}  // namespace

std::expected<checker::Report, std::string> audit_store(const StoreAuditOptions& options) {
  std::string const store = options.data_directory + "/store";
  if (!fs::exists(store + "/CURRENT")) {
    return std::unexpected(fmt::format("{} holds no store", options.data_directory));
  }
  checker::Audit audit;
  AuditFeed feed(audit);
  if (auto const dumped = rocksdb_store::dump(store, feed); !dumped) {
    return std::unexpected(fmt::format("{}: {} ({})", store, dumped.error().detail,
                                       domain::to_string(dumped.error().code)));
  }
  std::string const own_ledger = options.data_directory + "/sandbox-ledger.jsonl";
  std::string const ledger =
      options.ledger_path.empty() && fs::exists(own_ledger) ? own_ledger : options.ledger_path;
  if (!ledger.empty()) {
    if (auto const fed = feed_ledger(ledger, audit); !fed) return std::unexpected(fed.error());
  }
  return audit.finish();
}

}  // namespace penstock::main
