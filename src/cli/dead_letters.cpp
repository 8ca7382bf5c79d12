#include "cli/operate.h"
#include "cli/query_text.h"
#include "net/json_writer.h"

namespace penstock::cli {

ExitCode list_dead_letters(const ServerAccess& server, const DeadLetterListOptions& options,
                           const Output& output) {
  std::string const query = query_of({{"tenant_id", options.filter.tenant},
                                      {"stage", options.filter.stage},
                                      {"error", options.filter.error},
                                      {"limit", options.limit},
                                      {"cursor", options.cursor}});
  return present(ServerClient(server).call(net::HttpMethod::get, "/dead-letters" + query),
                 {.list = "dead_letters",
                  .columns = {"order_id", "tenant_id", "stage", "state", "status", "attempts",
                              "last_error", "redrives", "at"}},
                 output);
}

ExitCode redrive(const ServerAccess& server, const RedriveOptions& options, const Output& output) {
  bool const filters = !options.filter.tenant.empty() || !options.filter.stage.empty() ||
                       !options.filter.error.empty();
  if (options.orders.empty() && !filters && !options.all) {
    output.complaints << "penstock: nothing says which dead letters to redrive: name order ids, or "
                         "give --tenant, --stage or --error, or --all for all of them\n";
    return ExitCode::wrong_use;
  }
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object();
  if (!options.orders.empty()) {
    writer.key("order_ids").begin_array();
    for (const std::string& order : options.orders) writer.string(order);
    writer.end_array();
  }
  if (!options.filter.tenant.empty()) writer.member("tenant_id", options.filter.tenant);
  if (!options.filter.stage.empty()) writer.member("stage", options.filter.stage);
  if (!options.filter.error.empty()) writer.member("error", options.filter.error);
  if (options.all) writer.member("all", true);
  if (!options.rate_per_second.empty()) {
    writer.key("rate_per_second").raw(options.rate_per_second);
  }
  writer.end_object();
  return present(ServerClient(server).call(net::HttpMethod::post, "/dead-letters/redrive", body),
                 {.list = ""}, output);
}

ExitCode discard(const ServerAccess& server, const std::string& order, const Output& output) {
  return present(ServerClient(server).call(net::HttpMethod::post,
                                           "/dead-letters/" + segment(order) + "/discard"),
                 {.list = ""}, output);
}

}  // namespace penstock::cli
