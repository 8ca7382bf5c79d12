#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/contract_change.h"
#include "api/list_page.h"
#include "api/query_parameters.h"
#include "api/request_body.h"
#include "api/resources.h"
#include "net/json_writer.h"

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

net::HttpResponse contract_response(const domain::TenantId& tenant,
                                    const domain::Contract& contract) {
  net::HttpResponse response = json_response(200, contract_body(tenant, contract));
  response.formatted_headers += "ETag: " + entity_tag(contract) + "\r\n";
  return response;
}

/// A change of a contract on its way: read, changed, and stored where it is still what was read.
struct PutTenant {
  domain::TenantId tenant;
  ContractChange change;
  std::optional<std::string> if_match;
  ActUnderWay act;
  JobShare share;
  int tries_left = 10;  ///< others may change the contract as often between reading and storing
};

Problem changed_meanwhile(std::string_view tag) {
  return {.code = domain::ErrorCode::precondition_failed,
          .detail = fmt::format("The contract's ETag is {}, which If-Match does not name.", tag)};
}

void put_again(Context& context, PutTenant put, Reply reply);

/// Stores `wanted` where `present` is still in force, else begins again.
void store_contract(Context& context, PutTenant put, domain::Contract present,
                    domain::Contract wanted, Reply reply) {
  net::HttpResponse answer = contract_response(put.tenant, wanted);
  put.act.handed_over();
  pipeline::PutContract request{.tenant = put.tenant,
                                .contract = std::move(wanted),
                                .done = {},
                                .instead_of = std::move(present)};
  request.done = [&context, put = std::move(put), answer = std::move(answer),
                  reply = std::move(reply)](auto result) mutable {
    if (!result && result.error() == pipeline::Refusal::stale && --put.tries_left > 0) {
      return put_again(context, std::move(put), std::move(reply));
    }
    reply.answer([&]() -> Verdict {
      if (!result) return put.act.refused(result.error());
      put.act.done();
      return std::move(answer);
    });
  };
  context.parts.intake.submit(std::move(request));
}

/// Reads the contract in force and changes it; a job of the pool.
Finish change_contract(const Reads& reads, PutTenant put) {
  auto present = reads.reader.contract(put.tenant);
  if (!present) return answer_with(put.act.refused(problem_of(present.error())));
  const std::string tag = entity_tag(*present);
  if (put.if_match && !matches(*put.if_match, tag)) {
    return answer_with(put.act.refused(changed_meanwhile(tag)));
  }
  auto wanted = changed(*present, put.change);
  if (!wanted) return answer_with(put.act.refused(std::move(wanted.error())));
  return [&context = reads.context, put = std::move(put), present = *std::move(present),
          wanted = *std::move(wanted)](Reply reply) mutable {
    store_contract(context, std::move(put), std::move(present), std::move(wanted),
                   std::move(reply));
  };
}

ReadPool::ReadWork job_of(Context& context, PutTenant put) {
  put.act.waits();
  return [&context, put = std::move(put)](const ports::OrderReader& reader) mutable {
    return change_contract({.reader = reader, .context = context}, std::move(put));
  };
}

/// Bounded by the tries of those that the pool has let in.
void put_again(Context& context, PutTenant put, Reply reply) {
  const JobShare share = put.share;
  context.pool.read_promised(Lane::operations, share, std::move(reply),
                             job_of(context, std::move(put)));
}

/// The If-Match lines as one list (RFC 9110, section 5.3); nothing where there is none.
std::optional<std::string> if_match_of(const net::HttpRequest& request) {
  std::optional<std::string> list;
  for (std::size_t i = 0; i < request.headers.size(); ++i) {
    if (!net::equals_ignoring_case(request.headers.name(i), "If-Match")) continue;
    list = list.value_or("") + std::string(request.headers.value(i)) + ",";
  }
  return list;
}

/// What is to change, for the log: the members' names.
std::string member_names(net::JsonView body) {
  std::string names;
  for (const net::JsonView member : body.members()) {
    if (!names.empty()) names += ' ';
    names += member.name();
    if (member.is_null()) names += "=null";
  }
  return names;
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
  return answer_with(contract_response(*tenant, *contract));
}

void put_tenant(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  const auto tenant = domain::TenantId::parse(call.id);
  if (!tenant) return call.reply.refuse(not_found());
  const auto body = read_json_object(call.request, domain::ErrorCode::invalid_body);
  if (!body) return call.reply.refuse(body.error());
  auto change = read_contract_change(body->root(), *tenant, context.options.webhook_reach);
  if (!change) return call.reply.refuse(change.error());
  const JobShare share{.owner = "address " + call.request.peer_address,
                       .address = call.request.peer_address};
  PutTenant put{.tenant = *tenant,
                .change = *std::move(change),
                .if_match = if_match_of(call.request),
                .act = {context.operators,
                        {.act = "put-contract",
                         .caller = call.caller.kind,
                         .correlation = call.reply.correlation(),
                         .tenant = *tenant,
                         .detail = member_names(body->root())}},
                .share = share};
  context.pool.read(Lane::operations, share, std::move(call.reply),
                    job_of(context, std::move(put)));
}

}  // namespace penstock::api
