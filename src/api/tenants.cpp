#include <optional>
#include <utility>
#include <vector>

#include "api/list_page.h"
#include "api/object_reader.h"
#include "api/query_parameters.h"
#include "api/request_body.h"
#include "api/resources.h"
#include "domain/int128.h"
#include "domain/limits.h"
#include "net/json_writer.h"
#include "net/url.h"

namespace penstock::api {
namespace {

void append_contract(const domain::TenantId& tenant, const domain::Contract& contract,
                     net::JsonWriter& writer) {
  writer.begin_object().member("tenant_id", tenant.str());
  writer.key("rate_per_second").raw(domain::format_rate_per_second(contract.bucket.rate));
  writer.member("burst", contract.bucket.burst).key("guarantee_per_second");
  if (contract.guarantee) {
    writer.raw(domain::format_rate_per_second(*contract.guarantee));
  } else {
    writer.null();
  }
  writer.member("weight", contract.weight).key("webhook");
  if (contract.webhook) {
    writer.begin_object()
        .member("url", contract.webhook->url)
        .member("disabled", contract.webhook->disabled)
        .end_object();
  } else {
    writer.null();
  }
  writer.end_object();
}

std::string contract_body(const domain::TenantId& tenant, const domain::Contract& contract) {
  std::string body;
  net::JsonWriter writer(body);
  append_contract(tenant, contract, writer);
  return body;
}

bool is_faster(const domain::TokenRate& left, const domain::TokenRate& right) {
  return domain::Int128{left.micro_tokens} * right.period_ns >
         domain::Int128{right.micro_tokens} * left.period_ns;
}

std::optional<domain::TokenRate> read_rate(ObjectReader& reader, std::string_view name,
                                           Presence presence) {
  const auto text = reader.decimal(name, presence);
  if (!text) return std::nullopt;
  auto rate = domain::parse_rate_per_second(*text);
  if (!rate) reader.complain(name, "out-of-range");
  return rate;
}

std::int64_t read_whole(ObjectReader& reader, std::string_view name, Presence presence,
                        std::int64_t most) {
  const auto number = reader.integer(name, presence);
  if (number && (*number < 1 || *number > most)) reader.complain(name, "out-of-range");
  return number.value_or(1);
}

std::optional<domain::Webhook> read_webhook(ObjectReader& contract,
                                            std::vector<FieldProblem>& errors) {
  const auto object = contract.object("webhook", Presence::optional);
  if (!object) return std::nullopt;
  ObjectReader reader(*object, "/webhook", errors);
  const auto url = reader.string("url", Presence::required);
  const auto secret = reader.string("secret", Presence::required);
  if (url && (url->size() > domain::limits::kMaxWebhookUrlBytes || !net::parse_url(*url))) {
    reader.complain("url", "invalid");
  }
  if (secret && (secret->empty() || secret->size() > domain::limits::kMaxWebhookSecretBytes)) {
    reader.complain("secret", "out-of-range");
  }
  return domain::Webhook{.url = std::string(url.value_or("")),
                         .secret = std::string(secret.value_or("")),
                         .disabled = false};
}

std::expected<domain::Contract, Problem> read_contract(net::JsonView body) {
  std::vector<FieldProblem> errors;
  ObjectReader reader(body, "", errors);
  domain::Contract contract;
  const auto rate = read_rate(reader, "rate_per_second", Presence::required);
  contract.bucket.burst =
      read_whole(reader, "burst", Presence::required, domain::limits::kMaxBurst);
  contract.weight = read_whole(reader, "weight", Presence::optional, domain::limits::kMaxWeight);
  contract.guarantee = read_rate(reader, "guarantee_per_second", Presence::optional);
  contract.webhook = read_webhook(reader, errors);
  if (rate && contract.guarantee && is_faster(*contract.guarantee, *rate)) {
    reader.complain("guarantee_per_second", "above-rate");
  }
  if (!errors.empty() || !rate) {
    return std::unexpected(
        Problem{.code = domain::ErrorCode::invalid_contract, .errors = std::move(errors)});
  }
  contract.bucket.rate = *rate;
  return contract;
}

}  // namespace

Finish list_tenants(const Reads& reads, const ReadCall& call) {
  QueryParameters query(call.query, {"limit", "cursor"});
  const std::size_t limit = query.page_limit();
  const auto after = query.tenant_cursor();
  if (auto problem = query.problem()) return answer_with(*std::move(problem));
  const auto page = reads.reader.contracts(after.value_or(domain::TenantId()), limit);
  if (!page) return answer_with(problem_of(page.error()));
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object().key("tenants").begin_array();
  const std::size_t count = append_rows(
      *page, body, [&](const auto& row) { append_contract(row.first, row.second, writer); });
  writer.end_array().key("next_cursor");
  if (count == limit || count < page->size()) {
    writer.string(encode_cursor(CursorList::tenants, (*page)[count - 1].first.str()));
  } else {
    writer.null();
  }
  writer.end_object();
  return answer_with(json_response(200, std::move(body)));
}

Finish get_tenant(const Reads& reads, const ReadCall& call) {
  if (auto problem = refuse_query(call.query)) return answer_with(*std::move(problem));
  const auto tenant = domain::TenantId::parse(call.id);
  if (!tenant || !call.caller.reaches(*tenant)) return answer_with(not_found());
  const auto contract = reads.reader.contract(*tenant);
  if (!contract) return answer_with(problem_of(contract.error()));
  return answer_with(json_response(200, contract_body(*tenant, *contract)));
}

void put_tenant(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  const auto tenant = domain::TenantId::parse(call.id);
  if (!tenant) return call.reply.refuse(not_found());
  const auto body = read_json_object(call.request, domain::ErrorCode::invalid_body);
  if (!body) return call.reply.refuse(body.error());
  auto contract = read_contract(body->root());
  if (!contract) return call.reply.refuse(contract.error());
  std::string answer = contract_body(*tenant, *contract);
  context.parts.intake.submit(pipeline::PutContract{
      .tenant = *tenant,
      .contract = *std::move(contract),
      .done = [reply = std::move(call.reply), answer = std::move(answer)](auto result) mutable {
        if (!result) return reply.give(verdict_of(result.error()));
        reply.send(json_response(200, std::move(answer)));
      }});
}

}  // namespace penstock::api
