#include <optional>
#include <utility>

#include "api/list_page.h"
#include "api/query_parameters.h"
#include "api/resources.h"
#include "api/submission.h"

namespace penstock::api {

Finish list_orders(const Reads& reads, const ReadCall& call) {
  QueryParameters query(call.query,
                        {"tenant_id", "status", "created_from", "created_to", "limit", "cursor"});
  ports::OrderQuery wanted;
  const auto tenant = query.tenant();
  wanted.status = query.read("status", domain::parse_status);
  wanted.created_from = query.instant("created_from");
  wanted.created_to = query.instant("created_to");
  wanted.limit = query.page_limit();
  wanted.before = query.order_cursor(CursorList::orders);
  if (auto problem = query.problem()) return answer_with(*std::move(problem));
  if (tenant && !call.caller.reaches(*tenant)) {
    return answer_with(forbidden("The key belongs to another tenant."));
  }
  if (tenant) wanted.tenant = *tenant;
  if (!call.caller.is_operator()) wanted.tenant = call.caller.tenant;
  const auto page = reads.reader.list(wanted);
  if (!page) return answer_with(problem_of(page.error()));
  return answer_with(
      json_response(200, list_body("orders", CursorList::orders, *page, append_order)));
}

}  // namespace penstock::api
