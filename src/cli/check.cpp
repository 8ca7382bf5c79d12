#include "cli/check.h"

#include <string>

#include <fmt/format.h>

#include "domain/money.h"
#include "domain/order.h"
#include "net/json_writer.h"

namespace penstock::cli {
namespace {

using checker::Invariant;
using checker::Report;

/// Findings of text output; --json has all that are kept.
constexpr std::size_t kShownFindings = 50;

std::string amount(std::int64_t minor_units, const std::string& currency) {
  auto const known = domain::Currency::parse(currency);
  return known ? domain::format_amount({.minor_units = minor_units, .currency = *known})
               : std::to_string(minor_units);
}

/// What brings the evidence.
std::string_view bringer_of(checker::Evidence evidence) {
  switch (evidence) {
    case checker::Evidence::store:
      return "--data";
    case checker::Evidence::ledger:
      return "--ledger";
    case checker::Evidence::history:
      return "--history";
    case checker::Evidence::rest:
      return "a quiescent --history";
    case checker::Evidence::webhooks:
      return "--webhooks";
    case checker::Evidence::commits:
      return "the simulator";
  }
  return "";
}

std::string verdict_on(Invariant invariant, const Report& report) {
  if (!report.judged(invariant)) {
    return fmt::format("not judged (needs {})", bringer_of(evidence_of(invariant)));
  }
  return report.broken.at(static_cast<std::size_t>(invariant)) == 0 ? "ok" : "FAILED";
}

std::string text_of(const Report& report) {
  std::string out = fmt::format("{} orders", report.orders);
  for (std::size_t index = 1; index < report.orders_by_status.size(); ++index) {
    if (report.orders_by_status.at(index) == 0) continue;
    out += fmt::format(", {} {}", report.orders_by_status.at(index),
                       domain::to_string(static_cast<domain::Status>(index)));
  }
  out += fmt::format("\n{} open dead letters, {} idempotency keys, {} stock records\n",
                     report.open_dead_letters, report.idempotency_records, report.stock_records);
  out += fmt::format("stock: received {} = on hand {} + reserved {} + sold {}\n",
                     report.stock.received, report.stock.on_hand, report.stock.reserved,
                     report.stock.sold);
  if (report.operations > 0) {
    out += fmt::format("{} operations of clients, {} acknowledged, {} of unknown outcome\n",
                       report.operations, report.acknowledged, report.unknown);
  }
  if (!report.has(checker::Evidence::ledger))
    out += "no ledger: money was checked in the records alone\n";
  for (auto const& [currency, totals] : report.money) {
    if (!report.has(checker::Evidence::ledger)) break;
    out +=
        fmt::format("money in {}: captured {} - refunded {} = fulfilled {} + in flight {}\n",
                    currency, amount(totals.captured, currency), amount(totals.refunded, currency),
                    amount(totals.fulfilled, currency), amount(totals.open, currency));
  }
  for (std::size_t index = 0; index < checker::kInvariants; ++index) {
    auto const invariant = static_cast<Invariant>(index);
    std::uint64_t const broken = report.broken.at(index);
    out += fmt::format("  {:<32} {:<30} {}{}\n", verdict_on(invariant, report),
                       checker::to_string(invariant), checker::meaning_of(invariant),
                       broken == 0 ? "" : fmt::format(": {} times not", broken));
  }
  for (std::size_t index = 0; index < report.findings.size() && index < kShownFindings; ++index) {
    const checker::Finding& finding = report.findings[index];
    out += fmt::format("{}: {}: {}\n", checker::to_string(finding.invariant), finding.subject,
                       finding.detail);
  }
  if (report.violations() > kShownFindings) out += "(further findings are left out)\n";
  return out + (report.clean() ? "clean\n" : fmt::format("{} violations\n", report.violations()));
}

std::string json_of(const Report& report) {
  std::string out;
  net::JsonWriter writer(out);
  writer.begin_object()
      .member("clean", report.clean())
      .member("violations", report.violations())
      .member("orders", report.orders)
      .member("movements", report.movements)
      .member("operations", report.operations)
      .member("acknowledged", report.acknowledged)
      .member("unknown", report.unknown)
      .member("with_ledger", report.has(checker::Evidence::ledger))
      .member("open_dead_letters", report.open_dead_letters)
      .member("idempotency_records", report.idempotency_records);
  writer.key("orders_by_status").begin_object();
  for (std::size_t index = 1; index < report.orders_by_status.size(); ++index) {
    writer.member(domain::to_string(static_cast<domain::Status>(index)),
                  report.orders_by_status.at(index));
  }
  writer.end_object().key("stock").begin_object();
  writer.member("received", report.stock.received)
      .member("on_hand", report.stock.on_hand)
      .member("reserved", report.stock.reserved)
      .member("sold", report.stock.sold)
      .end_object();
  writer.key("money").begin_object();
  for (auto const& [currency, totals] : report.money) {
    writer.key(currency)
        .begin_object()
        .member("captured", totals.captured)
        .member("refunded", totals.refunded)
        .member("fulfilled", totals.fulfilled)
        .member("open", totals.open)
        .end_object();
  }
  writer.end_object().key("invariants").begin_object();
  for (std::size_t index = 0; index < checker::kInvariants; ++index) {
    writer.member(checker::to_string(static_cast<Invariant>(index)), report.broken.at(index));
  }
  writer.end_object().key("not_judged").begin_object();
  for (std::size_t index = 0; index < checker::kInvariants; ++index) {
    auto const invariant = static_cast<Invariant>(index);
    if (report.judged(invariant)) continue;
    writer.member(checker::to_string(invariant), bringer_of(evidence_of(invariant)));
  }
  writer.end_object().key("findings").begin_array();
  for (const checker::Finding& finding : report.findings) {
    writer.begin_object()
        .member("invariant", checker::to_string(finding.invariant))
        .member("subject", finding.subject)
        .member("detail", finding.detail)
        .end_object();
  }
  writer.end_array().end_object();
  return out + "\n";
}

}  // namespace

ExitCode print_audit(const Report& report, OutputForm form, std::ostream& out) {
  out << (form == OutputForm::json ? json_of(report) : text_of(report));
  return report.clean() ? ExitCode::done : ExitCode::failed;
}

}  // namespace penstock::cli
