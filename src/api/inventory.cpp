#include <optional>
#include <utility>
#include <vector>

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
  if (auto problem = refuse_query(call.query)) return std::unexpected(*std::move(problem));
  auto product = domain::ProductId::parse(call.id);
  if (!product) return std::unexpected(not_found());
  const auto body = read_json_object(call.request, domain::ErrorCode::invalid_body);
  if (!body) return std::unexpected(body.error());
  std::vector<FieldProblem> errors;
  ObjectReader reader(body->root(), "", errors);
  const auto named = reader.string("tenant_id", Presence::optional);
  const auto pieces = reader.integer(member.name, Presence::required);
  if (pieces && (*pieces < member.least || *pieces > domain::limits::kMaxStock)) {
    reader.complain(member.name, "out-of-range");
  }
  if (!errors.empty()) {
    return std::unexpected(
        Problem{.code = domain::ErrorCode::invalid_body, .errors = std::move(errors)});
  }
  auto tenant = choose_tenant(call.caller, {.named = named});
  if (!tenant) return std::unexpected(std::move(tenant.error()));
  return StockChange{.name = {.tenant = *std::move(tenant), .product = *std::move(product)},
                     .pieces = *pieces};
}

/// What answers a change of stock.
auto answer_change(Reply reply, StockName name) {
  return [reply = std::move(reply),
          name = std::move(name)](std::expected<domain::Stock, pipeline::Refusal> result) mutable {
    reply.answer([&]() -> Verdict {
      if (!result) return verdict_of(result.error());
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
                         .done = answer_change(std::move(call.reply), change->name)});
}

void restock(Context& context, Call call) {
  auto change = read_change(call, {.name = "quantity", .least = 1});
  if (!change) return call.reply.refuse(change.error());
  context.parts.intake.submit(
      pipeline::Restock{.tenant = change->name.tenant,
                        .product = change->name.product,
                        .quantity = change->pieces,
                        .done = answer_change(std::move(call.reply), change->name)});
}

}  // namespace penstock::api
