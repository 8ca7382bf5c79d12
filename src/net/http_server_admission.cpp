// Which connections a thread takes, and which give way to them.
#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include <boost/asio/dispatch.hpp>
#include <sys/socket.h>

#include "net/http_response_text.h"
#include "net/http_server_connection.h"
#include "net/http_server_thread.h"

namespace penstock::net {
namespace {

/// As many at once as this part of all connections: looking for them costs a walk over all.
constexpr std::size_t kGivingWayPart = 100;

std::size_t connections_per_address(const HttpServerLimits& limits) {
  if (limits.connections_per_address != 0) return limits.connections_per_address;
  return limits.connections - limits.connections / 10;
}

}  // namespace

std::string_view to_string(HttpServerTrouble trouble) {
  switch (trouble) {
    case HttpServerTrouble::connections:
      return "connections";
    case HttpServerTrouble::request_bytes:
      return "request_bytes";
    case HttpServerTrouble::answer_bytes:
      return "answer_bytes";
    case HttpServerTrouble::accepting:
      return "accepting";
  }
  return "connections";
}

void HttpServerThread::insert(ServerSocket socket) {
  boost::system::error_code ec;
  const auto peer = socket.remote_endpoint(ec);
  // A client that has gone already has no address any more.
  if (stopping_ || ec) {
    shared_.connections.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  ClientBook::Visit visit = shared_.clients.enter(peer.address());
  if (!make_room(visit.account())) {
    shared_.connections.fetch_sub(1, std::memory_order_relaxed);
    return refuse(std::move(socket));
  }
  if (free_entries_.empty()) {
    free_entries_.push_back(static_cast<std::uint32_t>(entries_.size()));
    entries_.emplace_back();
  }
  const std::uint32_t index = free_entries_.back();
  free_entries_.pop_back();
  Entry& entry = entries_[index];
  const std::uint64_t id = std::uint64_t{++entry.generation} << 32U | index;
  entry.connection = std::make_unique<HttpServerConnection>(
      *this, std::move(socket), id,
      ServerPeer{.address = peer.address(), .visit = std::move(visit)});
  entry.connection->start();
}

bool HttpServerThread::make_room(const ClientAccount& newcomer) {
  const HttpServerLimits& limits = shared_.options.limits;
  const bool address_is_full =
      newcomer.connections.load(std::memory_order_relaxed) > connections_per_address(limits);
  if (address_is_full) return close_some(newcomer, GivingWay::same_address) > 0;
  if (shared_.connections.load(std::memory_order_relaxed) <= limits.connections) return true;
  return close_some(newcomer, GivingWay::any_address) > 0;
}

std::size_t HttpServerThread::close_some(const ClientAccount& newcomer, GivingWay who) {
  struct Candidate {
    HttpServerConnection* connection;
    std::size_t neighbours;
    HttpServerConnection::Standing standing;
  };
  const std::size_t own = newcomer.connections.load(std::memory_order_relaxed);
  std::vector<Candidate> candidates;
  for (const Entry& entry : entries_) {
    if (!entry.connection) continue;
    const auto standing = entry.connection->standing();
    if (!standing) continue;
    const ClientAccount& account = entry.connection->account();
    const std::size_t neighbours = account.connections.load(std::memory_order_relaxed);
    // An unfinished request gives way only to an address that has fewer connections.
    const bool idle = standing->activity != HttpServerConnection::Activity::unfinished;
    const bool gives_way = who == GivingWay::same_address
                               ? idle && &account == &newcomer
                               : neighbours > own || (idle && neighbours == own);
    if (gives_way) candidates.push_back({entry.connection.get(), neighbours, *standing});
  }
  const std::size_t wanted =
      std::min(candidates.size(),
               std::max<std::size_t>(shared_.options.limits.connections / kGivingWayPart, 1));
  std::ranges::partial_sort(candidates, candidates.begin() + static_cast<std::ptrdiff_t>(wanted),
                            {}, [](const Candidate& each) {
                              return std::tuple(~each.neighbours, each.standing.activity,
                                                each.standing.since);
                            });
  std::size_t closed = 0;
  for (std::size_t i = 0; i < wanted; ++i) {
    if (candidates[i].connection->give_way()) ++closed;
  }
  shared_.gave_way.fetch_add(closed, std::memory_order_relaxed);
  return closed;
}

void HttpServerThread::free_descriptors() {
  boost::asio::dispatch(io_, [this] {
    // Nobody's newcomer: all give way that are idle, the largest address first.
    close_some(ClientAccount(), GivingWay::any_address);
    settle();
  });
}

void HttpServerThread::refuse(ServerSocket socket) {
  shared_.troubles.meet(HttpServerTrouble::connections);
  HttpResponse response{.status = 503, .content_type = "application/problem+json"};
  response.headers.push_back({.name = "Retry-After", .value = "1"});
  response.body =
      shared_.options.problem_body({.status = 503,
                                    .code = "too-many-connections",
                                    .detail = "Too many connections are open; try again later."});
  std::string text;
  append_response(response, {.date_line = date_line_, .keep_alive = false}, text);
  // One try: a client over the limit gets no more of this process's memory or time.
  [[maybe_unused]] const ssize_t sent =
      ::send(socket.native_handle(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  boost::system::error_code ec;
  socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ec);
  socket.close(ec);
}

}  // namespace penstock::net
