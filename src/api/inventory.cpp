#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/object_reader.h"
#include "api/query_parameters.h"
#include "api/request_body.h"
#include "api/resources.h"
#include "api/submission.h"
#include "domain/limits.h"
#include "net/json_writer.h"

namespace penstock::api {
namespace {

/// Whose stock of what.
struct StockName {
  domain::TenantId tenant;
  domain::ProductId product;
};

net::HttpResponse stock_response(const StockName& name, const domain::Stock& stock) {
  std::string body;
  net::JsonWriter(body)
      .begin_object()
      .member("tenant_id", name.tenant.str())
      .member("product_id", name.product.str())
      .member("on_hand", stock.on_hand())
      .member("reserved", stock.reserved)
      .member("sold", stock.sold)
      .end_object();
  return json_response(200, std::move(body));
}

/// A number of pieces for one product.
struct StockChange {
  StockName name;
  std::int64_t pieces = 0;
};

struct PiecesMember {
  std::string_view name;
  std::int64_t least = 0;
};

std::expected<StockChange, Problem> read_change(const Call& call, PiecesMember member) {
  QueryParameters query(call.query, {"tenant_id"});
  const auto asked = query.tenant();
  if (auto problem = query.problem()) return std::unexpected(*std::move(problem));
  auto product = domain::ProductId::parse(call.id);
  if (!product) return std::unexpected(not_found());
  const auto body = read_json_object(call.request, domain::ErrorCode::invalid_body);
  if (!body) return std::unexpected(body.error());
  std::vector<FieldProblem> errors;
  ObjectReader reader(body->root(), "", errors, {"tenant_id", member.name});
  const auto named = reader.string("tenant_id", Presence::optional);
  const auto pieces = reader.integer(member.name, Presence::required);
  if (pieces && (*pieces < member.least || *pieces > domain::limits::kMaxStock)) {
    reader.complain(member.name, "out-of-range",
                    fmt::format("{} is not between {} and {}.", *pieces, member.least,
                                domain::limits::kMaxStock));
  }
  if (!errors.empty()) {
    return std::unexpected(
        Problem{.code = domain::ErrorCode::invalid_body, .errors = std::move(errors)});
  }
  // The query's is a tenant's name already; the body's is looked at by choose_tenant.
  if (named && asked && *named != asked->str()) {
    return std::unexpected(field_problem(domain::ErrorCode::invalid_parameter, "?tenant_id",
                                         "conflict", "The query and the body name two tenants."));
  }
  std::optional<std::string_view> chosen = named;
  if (!chosen && asked) chosen = asked->str();
  auto tenant = choose_tenant(call.caller, {.named = chosen});
  if (!tenant) return std::unexpected(std::move(tenant.error()));
  return StockChange{.name = {.tenant = *std::move(tenant), .product = *std::move(product)},
                     .pieces = *pieces};
}

/// What answers a change of stock, and writes it to the log.
auto answer_change(Context& context, Call& call, std::string_view act, const StockChange& change) {
  ActUnderWay under_way(
      context.operators,
      {.act = act,
       .caller = call.caller.kind,
       .correlation = call.reply.correlation(),
       .tenant = change.name.tenant,
       .detail = fmt::format("product {}: {}", change.name.product.str(), change.pieces)},
      OperatorLog::Sampling::sampled);
  return [act = std::move(under_way), reply = std::move(call.reply),
          name = change.name](std::expected<domain::Stock, pipeline::Refusal> result) mutable {
    reply.answer([&]() -> Verdict {
      if (!result) return act.refused(result.error());
      act.done();
      return stock_response(name, *result);
    });
  };
}

}  // namespace

Finish get_stock(const Reads& reads, const ReadCall& call) {
  QueryParameters query(call.query, {"tenant_id"});
  const auto named = query.tenant();
  if (auto problem = query.problem()) return answer_with(*std::move(problem));
  const auto product = domain::ProductId::parse(call.id);
  if (!product) return answer_with(not_found());
  if (named && !call.caller.reaches(*named)) {
    return answer_with(forbidden("The key belongs to another tenant."));
  }
  const StockName name{.tenant = named.value_or(call.caller.tenant), .product = *product};
  const auto stock = reads.reader.stock(name.tenant, name.product);
  if (!stock) return answer_with(problem_of(stock.error()));
  if (!*stock) return answer_with(not_found());
  return answer_with(stock_response(name, **stock));
}

void put_stock(Context& context, Call call) {
  auto change = read_change(call, {.name = "on_hand", .least = 0});
  if (!change) return call.reply.refuse(change.error());
  context.parts.intake.submit(
      pipeline::SetStock{.tenant = change->name.tenant,
                         .product = change->name.product,
                         .on_hand = change->pieces,
                         .done = answer_change(context, call, "set-stock", *change)});
}

void restock(Context& context, Call call) {
  auto change = read_change(call, {.name = "quantity", .least = 1});
  if (!change) return call.reply.refuse(change.error());
  context.parts.intake.submit(
      pipeline::Restock{.tenant = change->name.tenant,
                        .product = change->name.product,
                        .quantity = change->pieces,
                        .done = answer_change(context, call, "restock", *change)});
}

}  // namespace penstock::api
