#include "cli/operate.h"
#include "cli/query_text.h"
#include "net/json_writer.h"

namespace penstock::cli {
namespace {

std::string body_of(const StockName& name, std::string_view member, std::int64_t pieces) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object().member(member, pieces);
  if (!name.tenant.empty()) writer.member("tenant_id", name.tenant);
  writer.end_object();
  return body;
}

}  // namespace

ExitCode show_stock(const ServerAccess& server, const StockName& name, const Output& output) {
  std::string const target =
      "/inventory/" + segment(name.product) + query_of({{"tenant_id", name.tenant}});
  return present(ServerClient(server).call(net::HttpMethod::get, target), {.list = ""}, output);
}

ExitCode set_stock(const ServerAccess& server, const StockName& name, std::int64_t on_hand,
                   const Output& output) {
  return present(
      ServerClient(server).call(net::HttpMethod::put, "/inventory/" + segment(name.product),
                                body_of(name, "on_hand", on_hand)),
      {.list = ""}, output);
}

ExitCode restock(const ServerAccess& server, const StockName& name, std::int64_t quantity,
                 const Output& output) {
  return present(ServerClient(server).call(net::HttpMethod::post,
                                           "/inventory/" + segment(name.product) + "/restock",
                                           body_of(name, "quantity", quantity)),
                 {.list = ""}, output);
}

}  // namespace penstock::cli
