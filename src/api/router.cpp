#include "api/router.h"

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "api/open_mode_guard.h"
#include "api/request_body.h"
#include "api/routes.h"
#include "api/submission.h"

namespace penstock::api {
namespace {

Problem unauthorized() {
  return {.code = domain::ErrorCode::unauthorized, .headers = "WWW-Authenticate: Bearer\r\n"};
}

/// The answer to a request without a valid key; where it has a wrong one, that was a guess.
Problem refused_key(Context& context, const net::HttpRequest& request) {
  if (request.headers.count("Authorization") == 0) return unauthorized();
  const auto wait =
      context.key_guesses.failed(request.peer_address, context.parts.clock.now().monotonic);
  if (!wait) return unauthorized();
  return {.code = domain::ErrorCode::too_many_failures, .headers = retry_after_line(*wait)};
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

/// Lines in which the reads of one address wait, by the tenant that is asked about: a few, so that
/// invented names win little.
constexpr std::size_t kLinesByTenant = 8;

/// The tenant that a query names, undecoded; "" where it names none.
std::string_view tenant_named_in(std::string_view query) {
  constexpr std::string_view kName = "tenant_id=";
  const std::size_t at = query.find(kName);
  if (at == std::string_view::npos) return {};
  query.remove_prefix(at + kName.size());
  return query.substr(0, query.find('&'));
}

/// Whose turn it is: a tenant's with a key of its own, else the address's. Lists and small reads
/// wait in lines of their own.
JobShare share_of(const Route& route, const Caller& caller, const std::string& address,
                  std::string_view query) {
  const bool is_list = route.pattern.find("{id}") == std::string_view::npos;
  const bool is_tenant = caller.kind == Caller::Kind::tenant;
  const auto named = std::hash<std::string_view>()(tenant_named_in(query)) % kLinesByTenant;
  return {.owner = is_tenant ? "tenant " + caller.tenant.str() : "address " + address,
          .address = address,
          .line = static_cast<std::uint32_t>(named) * 2 + (is_list ? 1 : 0)};
}

/// An exception closes the connection without an answer: the request may have been handed on.
void read_in_place(Context& context, Handler handler, Call&& call) {
  try {
    handler(context, std::move(call));
  } catch (const std::exception& error) {
    context.parts.log.write(ports::LogLevel::error, "a request failed inside the server",
                            {{"detail", error.what()}});
    throw;
  }
}

/// Parsing and checking a large body takes longer than an I/O thread has.
void read_body_in_pool(Context& context, const Route& route, Handler handler, Call&& call) {
  const JobShare share = share_of(route, call.caller, call.request.peer_address, "");
  Reply reply = std::move(call.reply);
  auto rest = std::make_unique<Call>(std::move(call));
  context.pool.run(Lane::work, share, std::move(reply),
                   [&context, handler, rest = std::move(rest)]() mutable -> Finish {
                     return [&context, handler, rest = std::move(rest)](Reply owed) mutable {
                       handler(context, {.request = std::move(rest->request),
                                         .id = std::move(rest->id),
                                         .query = std::move(rest->query),
                                         .caller = std::move(rest->caller),
                                         .reply = std::move(owed)});
                     };
                   });
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
  if (access != Access::open && context.is_open()) {
    if (auto problem = refuse_web_page(request)) return reply.refuse(*std::move(problem));
  }
  Caller caller;
  if (access != Access::open) {
    // Before 404 and 405, so that without a key nothing is learnt but that one is needed.
    auto authenticated = context.authenticator().authenticate(request.headers);
    if (!authenticated) return reply.refuse(refused_key(context, request));
    caller = *std::move(authenticated);
  }
  if (!matched.found()) return reply.refuse(unmatched(matched));
  if (auto problem = refuse_encoded_body(request)) return reply.refuse(*std::move(problem));
  if (access == Access::operators && !caller.is_operator()) {
    return reply.refuse(forbidden("This needs the admin key."));
  }
  const Route& route = routes()[matched.route];
  if (const auto* const reads = std::get_if<ReadHandler>(&route.handler)) {
    const JobShare share = share_of(route, caller, request.peer_address, query);
    ReadCall call{
        .id = std::move(matched.id), .query = std::move(query), .caller = std::move(caller)};
    context.pool.read(
        route.lane(), share, std::move(reply),
        [&context, handler = *reads, call = std::move(call)](const ports::OrderReader& reader) {
          return handler({.reader = reader, .context = context}, call);
        });
    return;
  }
  Call call{.request = std::move(request),
            .id = std::move(matched.id),
            .query = std::move(query),
            .caller = std::move(caller),
            .reply = std::move(reply)};
  const Handler handler = std::get<Handler>(route.handler);
  if (call.request.body.size() <= kMaxBodyReadInPlace) {
    read_in_place(context, handler, std::move(call));
  } else {
    read_body_in_pool(context, route, handler, std::move(call));
  }
}

}  // namespace penstock::api
