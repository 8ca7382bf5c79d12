#include "api/submission.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/idempotency.h"
#include "api/object_reader.h"
#include "domain/limits.h"
#include "pipeline/ingest.h"

namespace penstock::api {
namespace {

/// Reads at most one item more than allowed: enough for the rule to be seen broken.
constexpr std::size_t kItemsRead = domain::limits::kMaxItemsPerOrder + 1;

void read_items(ObjectReader& order, pipeline::Draft& draft, std::vector<FieldProblem>& errors) {
  const auto items = order.array("items", Presence::required);
  if (!items) return;
  draft.items.reserve(std::min(items->size(), kItemsRead));
  std::string pointer;
  for (const net::JsonView value : items->items()) {
    if (draft.items.size() == kItemsRead) return;
    pointer.assign("/items/");
    const fmt::format_int index(draft.items.size());
    pointer.append(index.data(), index.size());
    pipeline::DraftItem& item = draft.items.emplace_back();
    if (!value.is_object()) {
      errors.push_back({pointer, "wrong-type"});
      continue;
    }
    ObjectReader reader(value, pointer, errors);
    item.product_id = reader.string("product_id", Presence::required).value_or("");
    item.quantity = reader.integer("quantity", Presence::required).value_or(1);
    item.price = reader.decimal("price", Presence::required).value_or("");
  }
}

void read_metadata(ObjectReader& order, pipeline::Draft& draft, std::vector<FieldProblem>& errors) {
  const auto metadata = order.object("metadata", Presence::optional);
  if (!metadata) return;
  draft.metadata.reserve(std::min(metadata->size(), domain::limits::kMaxMetadataPairs + 1));
  for (const net::JsonView member : metadata->members()) {
    if (draft.metadata.size() > domain::limits::kMaxMetadataPairs) return;
    const auto text = member.as_string();
    if (!text) {
      errors.push_back({pipeline::metadata_pointer(member.name()), "wrong-type",
                        "A value of metadata must be a string."});
      return;
    }
    draft.metadata.emplace_back(member.name(), *text);
  }
}

/// Adds what make_order found, but nothing about a field that was wrong already: a member of the
/// wrong type is read as absent, so that its rule seems broken too.
void merge(std::vector<FieldProblem>& errors, const std::vector<pipeline::FieldError>& found) {
  const std::size_t before = errors.size();
  for (const pipeline::FieldError& error : found) {
    const auto covers = [&](const FieldProblem& known) {
      return error.pointer.starts_with(known.pointer) &&
             (error.pointer.size() == known.pointer.size() ||
              error.pointer[known.pointer.size()] == '/');
    };
    if (std::any_of(errors.begin(), errors.begin() + static_cast<std::ptrdiff_t>(before), covers)) {
      continue;
    }
    if (errors.size() >= kMaxListedFields) return;
    errors.push_back({error.pointer, std::string(error.code), error.detail});
  }
}

}  // namespace

Problem forbidden(std::string_view detail) {
  return {.code = domain::ErrorCode::forbidden, .detail = std::string(detail)};
}

std::expected<domain::TenantId, Problem> choose_tenant(const Caller& caller,
                                                       const TenantChoice& choice) {
  if (!choice.named) return caller.tenant;
  auto tenant = domain::TenantId::parse(*choice.named);
  if (!tenant) {
    return std::unexpected(
        field_problem(choice.invalid, std::string(choice.pointer), "invalid", ""));
  }
  if (!caller.reaches(*tenant)) {
    return std::unexpected(forbidden("The key belongs to another tenant."));
  }
  return *std::move(tenant);
}

std::expected<Submission, Problem> read_submission(const SubmissionSource& source) {
  std::vector<FieldProblem> errors;
  ObjectReader reader(source.body, "", errors);
  pipeline::Draft draft;
  draft.tenant_id = source.caller.tenant.str();
  if (const auto named = reader.string("tenant_id", Presence::optional)) {
    draft.tenant_id = *named;
    if (!source.caller.is_operator() && *named != source.caller.tenant.str()) {
      return std::unexpected(forbidden("The key belongs to another tenant."));
    }
  }
  const auto body_key = reader.string("idempotency_key", Presence::optional);
  auto key = merge_idempotency_keys(source.header_key, body_key);
  if (!key) return std::unexpected(std::move(key.error()));

  draft.customer_id = reader.string("customer_id", Presence::required).value_or("");
  draft.currency = reader.string("currency", Presence::optional).value_or(draft.currency);
  if (const auto payment = reader.object("payment", Presence::optional)) {
    ObjectReader payment_reader(*payment, "/payment", errors);
    draft.payment_method =
        payment_reader.string("method", Presence::optional).value_or(draft.payment_method);
  }
  read_items(reader, draft, errors);
  read_metadata(reader, draft, errors);
  draft.correlation = source.correlation;
  draft.traceparent = source.traceparent;

  auto order = pipeline::make_order(draft);
  if (!order) merge(errors, order.error());
  if (!errors.empty()) {
    return std::unexpected(
        Problem{.code = domain::ErrorCode::invalid_order, .errors = std::move(errors)});
  }
  Submission submission{.draft = std::move(*order), .idempotency = std::nullopt};
  if (*key) {
    submission.idempotency =
        ports::IdempotencyClaim{.key = **std::move(key),
                                .fingerprint = fingerprint_of_order(source.body, submission.draft)};
  }
  return submission;
}

}  // namespace penstock::api
