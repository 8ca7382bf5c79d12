#include "api/router.h"

#include <string>
#include <utility>

#include "api/routes.h"
#include "api/submission.h"

namespace penstock::api {
namespace {

Problem unauthorized() {
  return {.code = domain::ErrorCode::unauthorized, .headers = "WWW-Authenticate: Bearer\r\n"};
}

Problem unmatched(const Match& match) {
  if (match.allow.empty()) return not_found();
  return {.code = domain::ErrorCode::method_not_allowed,
          .headers = "Allow: " + match.allow + "\r\n"};
}

bool offers(Surface surface, std::string_view pattern) {
  return surface == Surface::whole || pattern == "/healthz" || pattern == "/readyz" ||
         pattern == "/metrics";
}

}  // namespace

Api::Api(ApiParts parts, ApiOptions options)
    : context_(std::make_unique<Context>(std::move(parts), std::move(options))) {}

Api::~Api() = default;

void Api::handle(net::HttpRequest&& request, net::Responder responder) {
  Context& context = *context_;
  Match matched = match(request.method, request.path());
  if (matched.found() && !offers(context.options.surface, routes()[matched.route].pattern)) {
    matched = {.route = routes().size(), .id = {}, .allow = {}};
  }
  std::string query(request.query());
  auto correlation = correlation_of(request.headers, context.parts.random);
  Reply reply(context,
              {.route = matched.route,
               .target = std::move(request.target),
               .correlation = std::move(correlation)},
              std::move(responder));
  const Access access = matched.found() ? routes()[matched.route].access : Access::caller;
  Caller caller;
  if (access != Access::open) {
    // Before 404 and 405, so that without a key nothing is learnt but that one is needed.
    auto authenticated = context.authenticator().authenticate(request.headers);
    if (!authenticated) return reply.refuse(unauthorized());
    caller = *std::move(authenticated);
  }
  if (!matched.found()) return reply.refuse(unmatched(matched));
  if (access == Access::operators && !caller.is_operator()) {
    return reply.refuse(forbidden("This needs the admin key."));
  }
  routes()[matched.route].handler(context, {.request = std::move(request),
                                            .id = std::move(matched.id),
                                            .query = std::move(query),
                                            .caller = std::move(caller),
                                            .reply = std::move(reply)});
}

}  // namespace penstock::api
