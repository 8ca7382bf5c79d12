#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/caller.h"
#include "api/context.h"
#include "api/reply.h"
#include "net/http_message.h"

namespace penstock::api {

/// A request on its way to its resource.
struct Call {
  net::HttpRequest request;  ///< its target has been moved into the reply
  std::string id;            ///< what the pattern's {id} matched, percent-decoded
  std::string query;         ///< undecoded
  Caller caller;
  Reply reply;
};

/// Answers the call, now or later.
using Handler = void (*)(Context& context, Call call);

enum class Access : std::uint8_t {
  open,       ///< no key
  caller,     ///< any caller; the resource looks at tenants
  operators,  ///< the admin key, where keys exist
};

/// A method of a resource. Patterns have at most one {id}, which is one whole segment.
struct Route {
  net::HttpMethod method;
  std::string_view pattern;
  Access access;
  Handler handler;
};

/// All of them; the only list there is.
std::span<const Route> routes();

/// Where a request goes.
struct Match {
  std::size_t route = 0;  ///< routes().size() where there is none
  std::string id;
  std::string allow;  ///< the Allow header's value, where only the method does not fit

  bool found() const { return route < routes().size(); }
};

/// HEAD goes where GET goes. A path is matched undecoded, but for what {id} takes.
Match match(net::HttpMethod method, std::string_view path);

}  // namespace penstock::api
