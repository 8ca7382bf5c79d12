#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "api/verdict.h"
#include "domain/ids.h"
#include "net/http_server.h"

namespace penstock::api {

struct Context;

/// The right to answer one request: counts, logs refusals, and adds X-Correlation-Id (this
/// request's; a replayed body keeps the original's). Movable; from any thread; a reply that is
/// destroyed without an answer closes the connection.
class Reply {
 public:
  struct Request {
    std::size_t route = 0;  ///< position in routes(), or the number of them
    std::string target;
    domain::CorrelationId correlation;
  };
  /// Borrows `context`.
  Reply(Context& context, Request request, net::Responder responder)
      : context_(&context), request_(std::move(request)), responder_(std::move(responder)) {}

  const domain::CorrelationId& correlation() const { return request_.correlation; }
  /// The path without the query.
  std::string_view path() const;

  void give(Verdict verdict);
  void send(net::HttpResponse response);
  void refuse(const Problem& problem);
  void abandon();

 private:
  Context* context_;
  Request request_;
  net::Responder responder_;
};

}  // namespace penstock::api
