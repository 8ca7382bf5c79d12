#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "api/caller.h"
#include "api/context.h"
#include "api/read_pool.h"
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

/// A read on its way through the pool: the request without the right to answer it.
struct ReadCall {
  std::string id;
  std::string query;
  Caller caller;
};

/// What a job that reads works with. It exists on the pool's threads alone.
struct Reads {
  const ports::OrderReader& reader;
  Context& context;
};

/// Whose turn it is to have statistics rendered: not that of the address's large bodies.
inline JobShare statistics_share(const net::HttpRequest& request) {
  return {.owner = "statistics for " + request.peer_address, .address = request.peer_address};
}

/// Answers the call, now or later, from memory or through the pipeline. Runs on the I/O thread, or
/// in the pool where the body is large; waits for nothing.
using Handler = void (*)(Context& context, Call call);
/// Reads the store and makes the answer, in the pool. May block.
using ReadHandler = Finish (*)(const Reads& reads, const ReadCall& call);

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
  std::variant<Handler, ReadHandler> handler;

  /// Whether it is answered without the store.
  bool is_memory_only() const { return std::holds_alternative<Handler>(handler); }
  /// Where a ReadHandler runs: what operators look at has threads of its own.
  Lane lane() const { return access == Access::operators ? Lane::operations : Lane::reads; }
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
