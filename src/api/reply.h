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
/// destroyed without an answer closes the connection. What goes wrong while an answer is made or
/// handed over (lack of memory) closes the connection too: nothing gets out of these methods.
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
  Reply(Reply&&) noexcept = default;
  Reply& operator=(Reply&&) = delete;
  ~Reply() {
    if (responder_) abandon();
  }

  const domain::CorrelationId& correlation() const { return request_.correlation; }
  /// The path without the query.
  std::string_view path() const;

  void give(Verdict verdict) noexcept;
  void send(net::HttpResponse response) noexcept;
  void refuse(const Problem& problem) noexcept;
  void abandon() noexcept;
  /// Gives what `make` makes, a response or a verdict. For answers of the thread that drives the
  /// pipeline, which an exception would end.
  template <typename Make>
  void answer(Make make) noexcept {
    try {
      give(make());
    } catch (...) {
      abandon();
    }
  }

 private:
  void hand_over(net::HttpResponse response);

  Context* context_;
  Request request_;
  net::Responder responder_;
};

}  // namespace penstock::api
