#include <optional>
#include <utility>
#include <vector>

#include "api/list_page.h"
#include "api/object_reader.h"
#include "api/order_json.h"
#include "api/query_parameters.h"
#include "api/request_body.h"
#include "api/resources.h"
#include "domain/limits.h"

namespace penstock::api {
namespace {

void append_dead_letter_row(const domain::Order& order, net::JsonWriter& writer) {
  const domain::DeadLetter mark = order.dead_letter.value_or(domain::DeadLetter());
  writer.begin_object()
      .member("order_id", order.id.str())
      .member("tenant_id", order.tenant.str())
      .member("stage", domain::to_string(mark.stage))
      .member("state", to_string(mark.state))
      .member("status", domain::to_string(order.status))
      .member("attempts", mark.attempts);
  append_reason("first_error", mark.first_error, writer);
  append_reason("last_error", mark.last_error, writer);
  append_time("first_failed_at", mark.first_failed_at, writer);
  append_time("at", mark.at, writer);
  writer.member("redrives", order.redrives)
      .member("correlation_id", order.correlation.str())
      .end_object();
}

/// What POST /dead-letters/redrive was asked for.
struct RedriveOrder {
  bool names_orders = false;
  std::vector<domain::OrderId> orders;
  ports::DeadLetterQuery filter;
  std::optional<domain::TokenRate> rate;
};

void read_order_ids(net::JsonView array, ObjectReader& reader, RedriveOrder& wanted) {
  wanted.names_orders = true;
  if (array.size() > domain::limits::kMaxRedriveBatch) {
    return reader.complain("order_ids", "too-many");
  }
  wanted.orders.reserve(array.size());
  for (const net::JsonView item : array.items()) {
    const auto id = domain::OrderId::parse(item.as_string().value_or(""));
    if (!id) return reader.complain("order_ids", "invalid");
    wanted.orders.push_back(*id);
  }
}

/// A member of the filter as `parse` reads it.
template <typename Parse>
auto read_filter(ObjectReader& reader, std::string_view name, Parse parse)
    -> decltype(parse(std::string_view())) {
  const auto text = reader.string(name, Presence::optional);
  if (!text) return std::nullopt;
  auto value = parse(*text);
  if (!value) reader.complain(name, "invalid");
  return value;
}

std::expected<RedriveOrder, Problem> read_redrive(net::JsonView body) {
  std::vector<FieldProblem> errors;
  ObjectReader reader(body, "", errors);
  RedriveOrder wanted;
  if (const auto ids = reader.array("order_ids", Presence::optional)) {
    read_order_ids(*ids, reader, wanted);
  }
  const auto tenant = read_filter(reader, "tenant_id", domain::TenantId::parse);
  wanted.filter.stage = read_filter(reader, "stage", domain::parse_stage);
  wanted.filter.error = read_filter(reader, "error", domain::parse_reason);
  if (tenant) wanted.filter.tenant = *tenant;
  if (const auto text = reader.decimal("rate_per_second", Presence::optional)) {
    wanted.rate = domain::parse_rate_per_second(*text);
    if (!wanted.rate) reader.complain("rate_per_second", "out-of-range");
  }
  // Both would leave open whether the filter narrows the list.
  if (wanted.names_orders && (tenant || wanted.filter.stage || wanted.filter.error)) {
    reader.complain("order_ids", "excludes-filter");
  }
  if (errors.empty()) return wanted;
  return std::unexpected(
      Problem{.code = domain::ErrorCode::invalid_body, .errors = std::move(errors)});
}

net::HttpResponse redriven_response(std::size_t count) {
  std::string body;
  net::JsonWriter(body).begin_object().member("redriven", count).end_object();
  return json_response(202, std::move(body));
}

}  // namespace

Finish list_dead_letters(const Reads& reads, const ReadCall& call) {
  QueryParameters query(call.query, {"tenant_id", "stage", "error", "limit", "cursor"});
  ports::DeadLetterQuery wanted;
  if (auto tenant = query.tenant()) wanted.tenant = *std::move(tenant);
  wanted.stage = query.read("stage", domain::parse_stage);
  wanted.error = query.read("error", domain::parse_reason);
  wanted.limit = query.page_limit();
  wanted.after = query.order_cursor(CursorList::dead_letters);
  if (auto problem = query.problem()) return answer_with(*std::move(problem));
  const auto page = reads.reader.dead_letters(wanted);
  if (!page) return answer_with(problem_of(page.error()));
  return answer_with(json_response(
      200, list_body("dead_letters", CursorList::dead_letters, *page, append_dead_letter_row)));
}

void redrive(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  const auto body = read_json_object(call.request, domain::ErrorCode::invalid_body);
  if (!body) return call.reply.refuse(body.error());
  auto wanted = read_redrive(body->root());
  if (!wanted) return call.reply.refuse(wanted.error());
  // To the pipeline no names means all that match; to the client an empty list means none.
  if (wanted->names_orders && wanted->orders.empty()) return call.reply.send(redriven_response(0));
  context.parts.intake.submit(
      pipeline::Redrive{.orders = std::move(wanted->orders),
                        .filter = std::move(wanted->filter),
                        .rate = wanted->rate,
                        .done = [reply = std::move(call.reply)](auto result) mutable {
                          reply.answer([&]() -> Verdict {
                            if (!result) return verdict_of(result.error());
                            return redriven_response(*result);
                          });
                        }});
}

void discard(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  const auto order = domain::OrderId::parse(call.id);
  if (!order) return call.reply.refuse(not_found());
  context.parts.intake.submit(pipeline::Discard{
      .order = *order, .done = [reply = std::move(call.reply)](auto result) mutable {
        reply.answer([&]() -> Verdict {
          if (!result) return verdict_of(result.error());
          return json_response(202, order_body(*result));
        });
      }});
}

}  // namespace penstock::api
