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
  auto const answer =
      ServerClient(server).call(net::HttpMethod::get, "/tenants/" + segment(tenant));
  ExitCode const code = present(answer, {.list = ""}, output);
  if (answer && !answer->entity_tag.empty() && output.form == OutputForm::text) {
    output.out << "etag: " << answer->entity_tag << '\n';
  }
  return code;
}

ExitCode put_tenant(const ServerAccess& server, const TenantContract& contract,
                    const Output& output) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object();
  if (!contract.rate_per_second.empty()) {
    writer.key("rate_per_second").raw(contract.rate_per_second);
  }
  if (contract.burst) writer.member("burst", *contract.burst);
  if (contract.no_guarantee) writer.key("guarantee_per_second").null();
  if (!contract.guarantee_per_second.empty()) {
    writer.key("guarantee_per_second").raw(contract.guarantee_per_second);
  }
  if (contract.weight) writer.member("weight", *contract.weight);
  if (contract.no_webhook) {
    writer.key("webhook").null();
  } else if (!contract.webhook_url.empty() || !contract.webhook_secret.empty()) {
    writer.key("webhook").begin_object();
    if (!contract.webhook_url.empty()) writer.member("url", contract.webhook_url);
    if (!contract.webhook_secret.empty()) writer.member("secret", contract.webhook_secret);
    writer.end_object();
  }
  writer.end_object();
  ServerClient client(server);
  if (!contract.if_match.empty()) {
    client.add_header({.name = "If-Match", .value = contract.if_match});
  }
  return present(client.call(net::HttpMethod::put, "/tenants/" + segment(contract.tenant), body),
                 {.list = ""}, output);
}

}  // namespace penstock::cli
