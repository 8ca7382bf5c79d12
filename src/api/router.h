#pragma once

#include <memory>

#include "api/context.h"
#include "net/http_message.h"
#include "net/http_server.h"

namespace penstock::api {

/// The HTTP interface of the pipeline (api.md): authentication, routing, resources, problems.
/// Outlives every request that it handed to the intake: stop the pipeline first.
class Api {
 public:
  Api(ApiParts parts, ApiOptions options);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// Answers one request through `responder`, now or later. Thread-safe; reads may wait for the
  /// disk. The handler of a net::HttpServer.
  void handle(net::HttpRequest&& request, net::Responder responder);

 private:
  std::unique_ptr<Context> context_;
};

}  // namespace penstock::api
