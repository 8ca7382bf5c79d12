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
  /// A larger body is parsed and checked by the pool.
  static constexpr std::size_t kMaxBodyReadInPlace = 8 * 1024;

  Api(ApiParts parts, ApiOptions options);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// Answers one request through `responder`, now or later. Thread-safe; waits for
  /// nothing: what reads the store, and large bodies, are handed to the pool (read_pool.h). The
  /// handler of a net::HttpServer.
  void handle(net::HttpRequest&& request, net::Responder responder);

 private:
  std::unique_ptr<Context> context_;
};

}  // namespace penstock::api
