#include <optional>
#include <utility>

#include "api/order_json.h"
#include "api/query_parameters.h"
#include "api/resources.h"
#include "api/submission.h"

namespace penstock::api {
namespace {

std::string page_body(const ports::OrderPage& page) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object().key("orders").begin_array();
  for (const domain::Order& order : page.orders) append_order(order, writer);
  writer.end_array();
  append_next_cursor(CursorList::orders, page.next, writer);
  writer.end_object();
  return body;
}

}  // namespace

void list_orders(Context& context, Call call) {
  QueryParameters query(call.query,
                        {"tenant_id", "status", "created_from", "created_to", "limit", "cursor"});
  ports::OrderQuery wanted;
  const auto tenant = query.tenant();
  wanted.status = query.read("status", domain::parse_status);
  wanted.created_from = query.instant("created_from");
  wanted.created_to = query.instant("created_to");
  wanted.limit = query.page_limit();
  wanted.before = query.order_cursor(CursorList::orders);
  if (const auto problem = query.problem()) return call.reply.refuse(*problem);
  if (tenant && !call.caller.reaches(*tenant)) {
    return call.reply.refuse(forbidden("The key belongs to another tenant."));
  }
  if (tenant) wanted.tenant = *tenant;
  if (!call.caller.is_operator()) wanted.tenant = call.caller.tenant;
  const auto page = context.parts.reader.list(wanted);
  if (!page) return call.reply.refuse(problem_of(page.error()));
  call.reply.send(json_response(200, page_body(*page)));
}

}  // namespace penstock::api
