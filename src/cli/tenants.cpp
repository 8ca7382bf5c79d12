#include "cli/operate.h"
#include "cli/query_text.h"
#include "net/json_writer.h"

namespace penstock::cli {

ExitCode list_tenants(const ServerAccess& server, const std::string& cursor, const Output& output) {
  return present(
      ServerClient(server).call(net::HttpMethod::get, "/tenants" + query_of({{"cursor", cursor}})),
      {.list = "tenants",
       .columns = {"tenant_id", "rate_per_second", "burst", "guarantee_per_second", "weight",
                   "webhook.url"}},
      output);
}

ExitCode show_tenant(const ServerAccess& server, const std::string& tenant, const Output& output) {
  return present(ServerClient(server).call(net::HttpMethod::get, "/tenants/" + segment(tenant)),
                 {.list = ""}, output);
}

ExitCode put_tenant(const ServerAccess& server, const TenantContract& contract,
                    const Output& output) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object();
  writer.key("rate_per_second").raw(contract.rate_per_second);
  writer.member("burst", contract.burst);
  if (!contract.guarantee_per_second.empty()) {
    writer.key("guarantee_per_second").raw(contract.guarantee_per_second);
  }
  if (contract.weight) writer.member("weight", *contract.weight);
  if (!contract.webhook_url.empty()) {
    writer.key("webhook")
        .begin_object()
        .member("url", contract.webhook_url)
        .member("secret", contract.webhook_secret)
        .end_object();
  }
  writer.end_object();
  return present(
      ServerClient(server).call(net::HttpMethod::put, "/tenants/" + segment(contract.tenant), body),
      {.list = ""}, output);
}

}  // namespace penstock::cli
