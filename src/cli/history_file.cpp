#include "cli/history_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "checker/commit_rules.h"
#include "checker/digest.h"
#include "domain/int128.h"
#include "domain/limits.h"
#include "domain/money.h"

namespace penstock::cli {
namespace {

using checker::Complete;
using checker::Event;
using checker::Refusal;
using checker::Result;
using net::JsonView;

constexpr net::JsonLimits kLineLimits{.max_bytes = std::size_t{1024} * 1024, .max_depth = 16};

std::string_view text(const JsonView& object, std::string_view name) {
  auto const member = object.find(name);
  return member ? member->as_string().value_or(std::string_view()) : std::string_view();
}

std::optional<std::int64_t> number(const JsonView& object, std::string_view name) {
  auto const member = object.find(name);
  return member ? member->as_int64() : std::nullopt;
}

template <typename Name>
std::optional<Name> name_in(const JsonView& object, std::string_view member) {
  return Name::parse(text(object, member));
}

std::optional<domain::OrderId> order_in(const JsonView& object) {
  return domain::OrderId::parse(text(object, "order_id"));
}

std::optional<domain::BucketContract> contract_in(const JsonView& object) {
  auto const rate_value = object.find("rate_per_second");
  auto const burst = number(object, "burst");
  if (!rate_value || !burst) return std::nullopt;
  std::string_view const decimal =
      rate_value->is_number() ? rate_value->number_text() : text(object, "rate_per_second");
  auto const rate = domain::parse_rate_per_second(decimal);
  if (!rate || *burst < 1) return std::nullopt;
  return domain::BucketContract{.rate = *rate, .burst = *burst};
}

/// An order's items and total, priced as the API reads prices.
bool read_items(const JsonView& body, domain::Currency currency, checker::OrderContent& content) {
  auto const items = body.find("items");
  if (!items) return false;
  domain::Int128 total = 0;
  for (JsonView const item : items->items()) {
    auto const product = name_in<domain::ProductId>(item, "product_id");
    auto const quantity = number(item, "quantity");
    auto const price_value = item.find("price");
    if (!product || !quantity || !price_value) return false;
    auto const price = domain::parse_amount(
        price_value->is_number() ? price_value->number_text() : text(item, "price"), currency);
    if (!price || *quantity < 1 || *quantity > domain::limits::kMaxQuantity) return false;
    content.items.push_back({.product = *product,
                             .quantity = static_cast<std::int32_t>(*quantity),
                             .price_minor = *price});
    total += static_cast<domain::Int128>(*quantity) * *price;
  }
  if (content.items.empty() || total > domain::limits::kMaxAmountMinor) return false;
  content.total = {.minor_units = static_cast<std::int64_t>(total), .currency = currency};
  return true;
}

/// The body of a POST /orders, with the API's defaults.
std::optional<checker::OrderContent> content_in(const JsonView& body) {
  checker::OrderContent content;
  auto const customer = name_in<domain::CustomerId>(body, "customer_id");
  auto const currency = body.find("currency") ? domain::Currency::parse(text(body, "currency"))
                                              : std::optional(domain::Currency::usd());
  if (!customer || !currency || !read_items(body, *currency, content)) return std::nullopt;
  content.customer = *customer;
  auto const payment = body.find("payment");
  content.payment_method = payment && payment->find("method") ? text(*payment, "method") : "pm_ok";
  if (auto const metadata = body.find("metadata")) {
    for (JsonView const pair : metadata->members()) {
      content.metadata.emplace_back(pair.name(), pair.as_string().value_or(""));
    }
  }
  return content;
}

std::optional<checker::ClientRequest> place_in(const JsonView& line,
                                               const domain::TenantId& tenant) {
  auto const body = line.find("body");
  auto const content = body ? content_in(*body) : std::nullopt;
  if (!content) return std::nullopt;
  checker::PlaceRequest request{.content = *content};
  if (line.find("key")) {
    request.key = name_in<domain::IdempotencyKey>(line, "key");
    if (!request.key) return std::nullopt;
    // A payload's fingerprint is its content: two that mean the same are the same here.
    std::uint64_t const digest = checker::content_digest(tenant, *content);
    std::memcpy(request.fingerprint.data(), &digest, sizeof digest);
  }
  return request;
}

std::optional<checker::ClientRequest> request_in(const JsonView& line,
                                                 const domain::TenantId& tenant) {
  std::string_view const kind = text(line, "request");
  bool const acts_for_tenant =
      kind == "place" || kind == "put_contract" || kind == "set_stock" || kind == "restock";
  if (acts_for_tenant && tenant.empty()) return std::nullopt;
  if (kind == "place") return place_in(line, tenant);
  if (kind == "redrive") return checker::RedriveRequest{};
  if (kind == "put_contract") {
    auto const contract = contract_in(line);
    if (contract) return checker::PutContractRequest{*contract};
    return std::nullopt;
  }
  if (kind == "set_stock" || kind == "restock") {
    bool const sets = kind == "set_stock";
    auto const product = name_in<domain::ProductId>(line, "product_id");
    auto const pieces = number(line, sets ? "on_hand" : "quantity");
    if (!product || !pieces) return std::nullopt;
    if (sets) return checker::SetStockRequest{*product, *pieces};
    return checker::RestockRequest{*product, *pieces};
  }
  auto const order = order_in(line);
  if (!order) return std::nullopt;
  if (kind == "read") return checker::ReadRequest{*order};
  if (kind == "cancel") return checker::CancelRequest{*order};
  if (kind == "discard") return checker::DiscardRequest{*order};
  return std::nullopt;
}

std::optional<checker::Occurrence> invoke_in(const JsonView& line) {
  auto const operation = number(line, "operation");
  domain::TenantId tenant;
  if (line.find("tenant")) {
    auto const named = name_in<domain::TenantId>(line, "tenant");
    if (!named) return std::nullopt;
    tenant = *named;
  }
  auto request = request_in(line, tenant);
  if (!operation || !request) return std::nullopt;
  return checker::Invoke{
      {static_cast<std::uint64_t>(*operation)}, std::move(tenant), std::move(*request)};
}

/// What a status other than 2xx says of the operation. A server that breaks off says nothing.
struct Verdict {
  Result result = Result::unknown;
  Refusal refusal = Refusal::none;
};
Verdict verdict_of(std::int64_t status, std::string_view code) {
  if (status >= 200 && status < 300) return {Result::ok, Refusal::none};
  if (status == 503) return {Result::refused, Refusal::reduced_capacity};
  if (status < 400 || status >= 500) return {};
  constexpr std::array<std::pair<std::string_view, Refusal>, 6> kCodes{{
      {"quota-exceeded", Refusal::quota_exceeded},
      {"idempotency-key-reused", Refusal::key_reused},
      {"cost-exceeds-capacity", Refusal::cost_exceeds_capacity},
      {"not-found", Refusal::not_found},
      {"order-already-terminal", Refusal::already_terminal},
      {"not-a-dead-letter", Refusal::not_a_dead_letter},
  }};
  auto const* const known =
      std::ranges::find(kCodes, code, &std::pair<std::string_view, Refusal>::first);
  return {Result::refused, known == kCodes.end() ? Refusal::other : known->second};
}

std::optional<checker::Occurrence> complete_in(const JsonView& line) {
  auto const operation = number(line, "operation");
  if (!operation) return std::nullopt;
  auto const [result, refusal] = verdict_of(number(line, "http").value_or(0), text(line, "code"));
  Complete complete{.operation = {static_cast<std::uint64_t>(*operation)},
                    .result = result,
                    .refusal = refusal,
                    .order = order_in(line),
                    .order_tenant = name_in<domain::TenantId>(line, "order_tenant"),
                    .status = domain::parse_status(text(line, "status")),
                    .remaining_tokens = number(line, "remaining")};
  complete.version.number = static_cast<std::uint32_t>(number(line, "version").value_or(0));
  std::string_view const digest = text(line, "body_digest");
  if (!digest.empty()) complete.body_digest = checker::Digest{}.add(digest).value();
  auto const replayed = line.find("replayed");
  if (replayed && replayed->as_bool() == true) complete.freshness = checker::Freshness::replayed;
  auto const on_hand = number(line, "on_hand");
  auto const reserved = number(line, "reserved");
  auto const sold = number(line, "sold");
  if (on_hand && reserved && sold) {
    complete.stock = {
        .received = *on_hand + *reserved + *sold, .reserved = *reserved, .sold = *sold};
  }
  return complete;
}

std::optional<checker::Occurrence> occurrence_in(const JsonView& line) {
  std::string_view const kind = text(line, "event");
  if (kind == "invoke") return invoke_in(line);
  if (kind == "complete") return complete_in(line);
  if (kind == "crashed") return checker::Crashed{};
  if (kind == "started") return checker::Started{};
  if (kind == "quiescent") return checker::FaultsStopped{};
  auto const tenant = name_in<domain::TenantId>(line, "tenant");
  if (!tenant) return std::nullopt;
  if (kind == "subscribed") return checker::Subscribed{*tenant};
  if (kind == "unsubscribed") return checker::Unsubscribed{*tenant};
  return std::nullopt;
}

}  // namespace

std::string HistoryFile::at_line(std::string_view what) const {
  return fmt::format("{} line {}: {}", path_, number_, what);
}

std::expected<std::optional<net::JsonDocument>, std::string> HistoryFile::next_line() {
  if (!std::getline(file_, line_)) {
    if (file_.bad()) return std::unexpected(fmt::format("{} cannot be read", path_));
    return std::nullopt;
  }
  ++number_;
  auto document = net::JsonDocument::parse(line_, kLineLimits);
  if (!document) return std::unexpected(at_line(net::to_string(document.error().code)));
  return std::move(*document);
}

std::expected<HistoryFile, std::string> HistoryFile::open(const std::string& path) {
  HistoryFile history;
  history.path_ = path;
  history.file_.open(path, std::ios::binary);
  if (!history.file_) return std::unexpected(fmt::format("{} cannot be read", path));
  auto const header = history.next_line();
  if (!header) return std::unexpected(header.error());
  if (!*header || text((*header)->root(), "event") != "history" ||
      number((*header)->root(), "format") != 1) {
    return std::unexpected(history.at_line("the header of a history of format 1 is missing"));
  }
  history.options_.store = checker::StoreTap::final_only;
  history.options_.ledger = checker::LedgerFeed::absent;
  if (auto const contract = (*header)->root().find("default_contract")) {
    history.options_.default_contract = contract_in(*contract);
    if (!history.options_.default_contract) {
      return std::unexpected(history.at_line("the default contract cannot be read"));
    }
  }
  return history;
}

/// An operation is invoked once before it completes once.
bool HistoryFile::is_in_turn(const checker::Occurrence& occurrence) {
  if (auto const* const invoke = std::get_if<checker::Invoke>(&occurrence)) {
    return in_flight_.insert(invoke->operation.number).second;
  }
  auto const* const complete = std::get_if<Complete>(&occurrence);
  return complete == nullptr || in_flight_.erase(complete->operation.number) == 1;
}

std::expected<std::optional<Event>, std::string> HistoryFile::next() {
  auto const document = next_line();
  if (!document) return std::unexpected(document.error());
  if (!*document) return std::nullopt;
  JsonView const line = (*document)->root();
  auto const at = number(line, "at");
  auto occurrence = occurrence_in(line);
  if (!at || !occurrence) return std::unexpected(at_line("no event of a known form"));
  if (domain::Instant{*at} < last_) return std::unexpected(at_line("it goes back in time"));
  if (!is_in_turn(*occurrence)) return std::unexpected(at_line("the operation is not in turn"));
  last_ = {*at};
  if (std::holds_alternative<checker::FaultsStopped>(*occurrence)) {
    quiescence_ = checker::Quiescence::reached;
  }
  return Event{last_, std::move(*occurrence)};
}

std::optional<checker::Delivered> parse_delivery(std::string_view line) {
  auto const document = net::JsonDocument::parse(line, kLineLimits);
  if (!document) return std::nullopt;
  JsonView const root = document->root();
  std::string_view const id = text(root, "webhook_id");
  std::string_view const signature = text(root, "signature");
  auto const order = order_in(root);
  auto const status = domain::parse_status(text(root, "status"));
  auto const answer = number(root, "answer");
  bool const signed_well = signature == "valid";
  if (id.empty() || !order || !status || !answer || (!signed_well && signature != "invalid")) {
    return std::nullopt;
  }
  return checker::Delivered{
      .webhook_id = std::string(id),
      .order = *order,
      .status = *status,
      .signature = signed_well ? checker::Signature::valid : checker::Signature::invalid,
      .answer = *answer >= 200 && *answer < 300 ? checker::ReceiverAnswer::accepted
                                                : checker::ReceiverAnswer::refused};
}

}  // namespace penstock::cli
