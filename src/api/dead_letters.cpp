#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

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

/// What POST /dead-letters/redrive was asked for: orders by name, or a filter, or all.
struct RedriveOrder {
  std::vector<domain::OrderId> orders;
  ports::DeadLetterQuery filter;
  std::optional<domain::TokenRate> rate;
};

std::optional<domain::Reason> parse_error(std::string_view text) {
  return text.empty() ? std::nullopt : domain::parse_reason(text);
}

std::vector<domain::OrderId> read_order_ids(net::JsonView array, ObjectReader& reader) {
  std::vector<domain::OrderId> orders;
  if (array.size() > domain::limits::kMaxRedriveBatch) {
    reader.complain("order_ids", "too-many",
                    fmt::format("{} ids; a call takes at most {}.", array.size(),
                                domain::limits::kMaxRedriveBatch));
    return orders;
  }
  orders.reserve(array.size());
  for (const net::JsonView item : array.items()) {
    const auto id = domain::OrderId::parse(item.as_string().value_or(""));
    if (!id) {
      reader.complain("order_ids", "invalid",
                      fmt::format("Item {} (counted from 0) is no order id.", orders.size()));
      return orders;
    }
    orders.push_back(*id);
  }
  return orders;
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

/// Exactly one of the three ways to say which, so that nothing left out or misread means more
/// dead letters than were meant.
std::expected<RedriveOrder, Problem> read_redrive(net::JsonView body) {
  std::vector<FieldProblem> errors;
  ObjectReader reader(body, "", errors,
                      {"order_ids", "tenant_id", "stage", "error", "all", "rate_per_second"});
  RedriveOrder wanted;
  const auto ids = reader.array("order_ids", Presence::optional);
  if (ids) wanted.orders = read_order_ids(*ids, reader);
  const auto tenant = read_filter(reader, "tenant_id", domain::TenantId::parse);
  wanted.filter.stage = read_filter(reader, "stage", domain::parse_stage);
  wanted.filter.error = read_filter(reader, "error", parse_error);
  if (tenant) wanted.filter.tenant = *tenant;
  const bool all = reader.boolean("all", Presence::optional).value_or(false);
  if (const auto text = reader.decimal("rate_per_second", Presence::optional)) {
    wanted.rate = domain::parse_rate_per_second(*text);
    if (!wanted.rate) reader.complain("rate_per_second", "out-of-range");
  }
  const bool filters = tenant || wanted.filter.stage || wanted.filter.error;
  if (ids && (filters || all)) {
    reader.complain("order_ids", "excludes-filter",
                    "Name orders, or give a filter, or set all: one of them.");
  } else if (all && filters) {
    reader.complain("all", "excludes-filter", "all is for a redrive without a filter.");
  } else if (!ids && !filters && !all && errors.empty()) {
    errors.push_back(
        {"", "names-nothing",
         R"(Name order_ids, or tenant_id, stage or error as a filter, or "all": true.)"});
  }
  if (errors.empty()) return wanted;
  return std::unexpected(
      Problem{.code = domain::ErrorCode::invalid_body, .errors = std::move(errors)});
}

/// What was asked for, for the log.
std::string described(const RedriveOrder& wanted) {
  if (!wanted.orders.empty()) return fmt::format("{} orders by id", wanted.orders.size());
  std::string text;
  if (wanted.filter.stage) text += fmt::format("stage {} ", to_string(*wanted.filter.stage));
  if (wanted.filter.error) text += fmt::format("error {} ", to_string(*wanted.filter.error));
  if (!wanted.filter.tenant.empty()) text += "of one tenant ";
  if (text.empty()) return "all";
  text.pop_back();
  return text;
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
  wanted.error = query.read("error", parse_error);
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
  ActUnderWay act(context.operators, {.act = "redrive",
                                      .caller = call.caller.kind,
                                      .correlation = call.reply.correlation(),
                                      .tenant = wanted->filter.tenant,
                                      .detail = described(*wanted)});
  context.parts.intake.submit(pipeline::Redrive{
      .orders = std::move(wanted->orders),
      .filter = std::move(wanted->filter),
      .rate = wanted->rate,
      .done = [act = std::move(act), reply = std::move(call.reply)](auto result) mutable {
        reply.answer([&]() -> Verdict {
          if (!result) return act.refused(result.error());
          act.done(fmt::format(": {} redriven", *result));
          return redriven_response(*result);
        });
      }});
}

void discard(Context& context, Call call) {
  if (const auto problem = refuse_query(call.query)) return call.reply.refuse(*problem);
  if (const auto problem = refuse_body(call.request)) return call.reply.refuse(*problem);
  const auto order = domain::OrderId::parse(call.id);
  if (!order) return call.reply.refuse(not_found());
  ActUnderWay act(context.operators, {.act = "discard",
                                      .caller = call.caller.kind,
                                      .correlation = call.reply.correlation(),
                                      .detail = "order " + order->str()});
  context.parts.intake.submit(pipeline::Discard{
      .order = *order,
      .done = [act = std::move(act), reply = std::move(call.reply)](auto result) mutable {
        reply.answer([&]() -> Verdict {
          if (!result) return act.refused(result.error());
          act.of(result->tenant);
          act.done();
          return json_response(202, order_body(*result));
        });
      }});
}

}  // namespace penstock::api
