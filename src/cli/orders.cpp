#include <array>

#include "cli/operate.h"
#include "cli/query_text.h"

namespace penstock::cli {

ExitCode list_orders(const ServerAccess& server, const OrderListOptions& options,
                     const Output& output) {
  std::string const query = query_of({{"tenant_id", options.tenant},
                                      {"status", options.status},
                                      {"created_from", options.created_from},
                                      {"created_to", options.created_to},
                                      {"limit", options.limit},
                                      {"cursor", options.cursor}});
  return present(ServerClient(server).call(net::HttpMethod::get, "/orders" + query),
                 {.list = "orders",
                  .columns = {"order_id", "status", "tenant_id", "total.amount", "total.currency",
                              "dead_letter", "reason", "created_at"}},
                 output);
}

ExitCode show_order(const ServerAccess& server, const std::string& order, OrderView view,
                    const Output& output) {
  constexpr std::array<std::string_view, 4> kTails{"", "/events", "/why", "/receipt"};
  std::string target = "/orders/" + segment(order);
  target += kTails.at(static_cast<std::size_t>(view));
  TableShape const shape =
      view == OrderView::events
          ? TableShape{.list = "events",
                       .columns = {"version", "at", "from", "to", "stage", "reason", "attempt"}}
          : TableShape{.list = ""};
  return present(ServerClient(server).call(net::HttpMethod::get, target), shape, output);
}

ExitCode cancel_order(const ServerAccess& server, const std::string& order, const Output& output) {
  return present(
      ServerClient(server).call(net::HttpMethod::post, "/orders/" + segment(order) + "/cancel"),
      {.list = ""}, output);
}

}  // namespace penstock::cli
