#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include "net/http_client.h"
#include "net/name_resolver.h"
#include "net/url.h"

namespace penstock::net {

/// One request under way, from send() to its callback.
struct HttpExchange {
  using Clock = std::chrono::steady_clock;

  Url url{};
  std::string origin{};
  HttpMethod method = HttpMethod::get;
  /// Head and body as they go over the wire.
  std::string wire{};
  Clock::time_point deadline{};
  HttpClientCallback callback{};
  ReplyBody reply_body = ReplyBody::needed;
  bool moved_once = false;

  void finish(HttpClientResult result) const { callback(std::move(result)); }
};
using HttpExchangePointer = std::unique_ptr<HttpExchange>;

class HttpClientConnection;

/// One event loop of the client with its thread, connections and queue. What is not marked
/// otherwise runs on that thread.
class HttpClientThread {
 public:
  using Clock = HttpExchange::Clock;
  using Executor = boost::asio::io_context::executor_type;
  using Endpoint = boost::asio::ip::tcp::endpoint;
  using Endpoints = std::shared_ptr<const std::vector<Endpoint>>;

  HttpClientThread(const HttpClientOptions& options, boost::asio::ssl::context& tls,
                   std::size_t max_connections);
  HttpClientThread(const HttpClientThread&) = delete;
  HttpClientThread& operator=(const HttpClientThread&) = delete;
  ~HttpClientThread();

  /// Hands an exchange over; from any thread.
  void submit(HttpExchangePointer exchange);
  /// Fails all and joins; from the client's caller.
  void stop();

  const HttpClientOptions& options() const { return options_; }
  boost::asio::ssl::context& tls() { return tls_; }
  boost::asio::io_context& io() { return io_; }

  /// A connection has become idle, and may take the next exchange of its origin.
  void release(HttpClientConnection& connection);
  /// A connection has closed; it is freed once none of its operations is pending.
  void remove(HttpClientConnection& connection);
  void retire(HttpClientConnection& connection);
  /// Sends an exchange again of which no byte has left.
  void restart(HttpExchangePointer exchange);
  /// Ends an event: starts what waits, frees what is closed.
  void settle();

 private:
  struct Origin {
    std::vector<HttpClientConnection*> idle{};
    Endpoints endpoints{};
    Clock::time_point resolved_at{};
    bool resolving = false;
    std::vector<HttpExchangePointer> waiting{};
  };

  void take_submitted();
  /// Gives the exchange away: to a connection, or to its origin's resolution. False, with the
  /// exchange left in place, where no connection may be opened now.
  bool place(HttpExchangePointer& exchange);
  void open(HttpExchangePointer exchange, Endpoints endpoints);
  void resolve(Origin& origin, HttpExchangePointer exchange);
  void on_resolved(Origin& origin, Endpoints endpoints);
  bool evict_idle();
  static void drop_idle(HttpClientConnection& connection);
  void forget_idle(HttpClientConnection& connection);
  void sweep();
  void forget_unused_origins();
  void expire(std::vector<HttpExchangePointer>& waiting);
  void expire_queue();
  void shut_down();

  const HttpClientOptions& options_;
  boost::asio::ssl::context& tls_;
  const std::size_t max_connections_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<Executor> work_;
  NameResolver names_;
  boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor> sweep_timer_;

  std::mutex mutex_;
  std::vector<HttpExchangePointer> submitted_;
  bool woken_ = false;
  bool closed_ = false;

  /// Those in use, and a bounded number of others.
  std::map<std::string, Origin, std::less<>> origins_;
  std::vector<std::unique_ptr<HttpClientConnection>> connections_;
  std::vector<HttpClientConnection*> retired_;
  std::size_t open_connections_ = 0;
  std::deque<HttpExchangePointer> queue_;
  Clock::time_point now_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::net
