#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "api/list_page.h"
#include "api/order_json.h"
#include "api/query_parameters.h"
#include "api/resources.h"

namespace penstock::api {
namespace {

void append_age(domain::Instant since, domain::Instant now, net::JsonWriter& writer) {
  constexpr std::int64_t kMicroseconds = 1'000'000;
  append_time("since", since, writer);
  writer.member("age_seconds", std::max<std::int64_t>((now - since).us / kMicroseconds, 0));
}

void append_owed(const domain::Order& order, domain::Instant now, net::JsonWriter& writer) {
  writer.begin_object()
      .member("order_id", order.id.str())
      .member("tenant_id", order.tenant.str())
      .member("status", domain::to_string(order.status));
  append_money("amount", order.total, writer);
  append_age(in_status_since(order), now, writer);
  append_reason("reason", order.reason, writer);
  append_reason("last_error", order.last_error, writer);
  // As recorded: the first failure of each kind is. What happens since, /orders/{id}/why tells.
  writer.member("attempts", order.attempts);
  append_time("next_retry_at", order.due > now ? std::optional(order.due) : std::nullopt, writer);
  writer.member("correlation_id", order.correlation.str()).end_object();
}

std::string unresolved_body(const std::vector<pipeline::Unresolved>& unresolved,
                            domain::Instant now) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object().key("unresolved_charges").begin_array();
  for (const pipeline::Unresolved& charge : unresolved) {
    writer.begin_object()
        .member("order_id", charge.order.str())
        .member("tenant_id", charge.tenant.str());
    append_age(charge.since, now, writer);
    writer.member("unanswered", charge.unanswered).end_object();
  }
  writer.end_array().end_object();
  return body;
}

}  // namespace

Finish list_owed_refunds(const Reads& reads, const ReadCall& call) {
  QueryParameters query(call.query, {"limit", "cursor"});
  const std::size_t limit = query.page_limit();
  const auto after = query.order_cursor(CursorList::owed_refunds);
  if (auto problem = query.problem()) return answer_with(*std::move(problem));
  const auto page = reads.reader.owed_refunds(after, limit);
  if (!page) return answer_with(problem_of(page.error()));
  const domain::Instant now = reads.context.parts.clock.now().wall;
  return answer_with(
      json_response(200, list_body("owed_refunds", CursorList::owed_refunds, *page,
                                   [now](const domain::Order& order, net::JsonWriter& writer) {
                                     append_owed(order, now, writer);
                                   })));
}

void list_unresolved_charges(Context& context, Call call) {
  QueryParameters query(call.query, {"limit"});
  const std::size_t limit = query.page_limit();
  if (const auto problem = query.problem()) return call.reply.refuse(*problem);
  context.parts.intake.submit(pipeline::ListUnresolved{
      .limit = limit,
      .done = [&context, reply = std::move(call.reply)](
                  const std::vector<pipeline::Unresolved>& unresolved) mutable {
        reply.answer([&] {
          const domain::Instant now = context.parts.clock.now().wall;
          return json_response(200, unresolved_body(unresolved, now));
        });
      }});
}

}  // namespace penstock::api
