#include "cli/server_access.h"

#include <utility>

#include <fmt/format.h>

#include "net/redaction.h"

namespace penstock::cli {

ServerClient::ServerClient(ServerAccess access)
    : access_(std::move(access)), client_({.max_connections = 4, .user_agent = "penstock-cli"}) {
  while (access_.url.ends_with('/')) access_.url.pop_back();
}

std::expected<ServerAnswer, std::string> ServerClient::call(net::HttpMethod method,
                                                            const std::string& target,
                                                            const std::string& body) {
  net::HttpClientRequest request{.url = access_.url + target,
                                 .method = method,
                                 .headers = headers_,
                                 .body = body,
                                 .timeout = std::chrono::seconds(60)};
  if (!access_.key.empty()) {
    request.headers.push_back({.name = "Authorization", .value = "Bearer " + access_.key});
  }
  if (!body.empty()) {
    request.headers.push_back({.name = "Content-Type", .value = "application/json"});
  }
  auto result = client_.call(request);
  if (!result) {
    return std::unexpected(fmt::format("{}: no answer ({})", net::redacted(access_.url),
                                       net::to_string(result.error())));
  }
  return ServerAnswer{.status = result->status,
                      .body = std::move(result->body),
                      .retry_after = std::string(result->headers.find("Retry-After").value_or("")),
                      .entity_tag = std::string(result->headers.find("ETag").value_or(""))};
}

}  // namespace penstock::cli
