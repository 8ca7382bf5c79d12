#include "api/routes.h"

#include <algorithm>
#include <array>

#include "api/resources.h"
#include "net/url.h"

namespace penstock::api {
namespace {

using net::HttpMethod;

constexpr std::array kRoutes{
    // What is asked for most stands first.
    Route{HttpMethod::post, "/orders", Access::caller, place_order},
    Route{HttpMethod::get, "/orders/{id}", Access::caller, get_order},
    Route{HttpMethod::get, "/orders", Access::caller, list_orders},
    Route{HttpMethod::get, "/orders/{id}/events", Access::caller, get_events},
    Route{HttpMethod::get, "/orders/{id}/receipt", Access::caller, get_receipt},
    Route{HttpMethod::get, "/orders/{id}/why", Access::caller, get_why},
    Route{HttpMethod::post, "/orders/{id}/cancel", Access::caller, cancel_order},
    Route{HttpMethod::get, "/inventory/{id}", Access::caller, get_stock},
    Route{HttpMethod::put, "/inventory/{id}", Access::caller, put_stock},
    Route{HttpMethod::post, "/inventory/{id}/restock", Access::caller, restock},
    Route{HttpMethod::get, "/tenants", Access::operators, list_tenants},
    Route{HttpMethod::get, "/tenants/{id}", Access::caller, get_tenant},
    Route{HttpMethod::put, "/tenants/{id}", Access::operators, put_tenant},
    Route{HttpMethod::get, "/queues", Access::operators, get_queues},
    Route{HttpMethod::get, "/dead-letters", Access::operators, list_dead_letters},
    Route{HttpMethod::post, "/dead-letters/redrive", Access::operators, redrive},
    Route{HttpMethod::post, "/dead-letters/{id}/discard", Access::operators, discard},
    Route{HttpMethod::get, "/owed-refunds", Access::operators, list_owed_refunds},
    Route{HttpMethod::get, "/unresolved-charges", Access::operators, list_unresolved_charges},
    Route{HttpMethod::get, "/healthz", Access::open, get_health},
    Route{HttpMethod::get, "/readyz", Access::open, get_readiness},
    Route{HttpMethod::get, "/metrics", Access::operators, get_metrics},
    Route{HttpMethod::get, "/errors/{id}", Access::open, get_error},
    Route{HttpMethod::get, "/", Access::caller, get_root},
};
static_assert(kRoutes.size() < RequestCounters::kMaxRoutes, "one more for unknown routes");

constexpr std::string_view kHole = "{id}";

/// Whether the path has the pattern's form; `hole` becomes what {id} stands for.
bool fits(std::string_view pattern, std::string_view path, std::string_view& hole) {
  const std::size_t at = pattern.find(kHole);
  if (at == std::string_view::npos) return path == pattern;
  const std::string_view before = pattern.substr(0, at);
  const std::string_view after = pattern.substr(at + kHole.size());
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) ||
      !path.ends_with(after)) {
    return false;
  }
  hole = path.substr(before.size(), path.size() - before.size() - after.size());
  return hole.find('/') == std::string_view::npos;
}

void add_allowed(HttpMethod method, std::string& allow) {
  if (!allow.empty()) allow += ", ";
  allow += net::to_string(method);
  if (method == HttpMethod::get) allow += ", HEAD";
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

Match match(HttpMethod method, std::string_view path) {
  if (method == HttpMethod::head) method = HttpMethod::get;
  Match result{.route = kRoutes.size(), .id = {}, .allow = {}};
  for (std::size_t index = 0; index < kRoutes.size(); ++index) {
    std::string_view hole;
    if (!fits(kRoutes[index].pattern, path, hole)) continue;
    if (kRoutes[index].method != method) {
      add_allowed(kRoutes[index].method, result.allow);
      continue;
    }
    // A broken escape names nothing: the empty id is no id of any resource.
    if (!hole.empty()) result.id = net::percent_decode(hole).value_or("");
    result.route = index;
    result.allow.clear();
    return result;
  }
  return result;
}

}  // namespace penstock::api
