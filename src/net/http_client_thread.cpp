#include "net/http_client_thread.h"

#include <algorithm>
#include <utility>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>

#include "net/http_client_connection.h"

namespace penstock::net {

HttpClientThread::HttpClientThread(const HttpClientOptions& options, boost::asio::ssl::context& tls,
                                   std::size_t max_connections)
    : options_(options),
      tls_(tls),
      max_connections_(max_connections),
      io_(1),
      work_(boost::asio::make_work_guard(io_)),
      names_(io_),
      sweep_timer_(io_),
      now_(Clock::now()) {
  thread_ = std::thread([this] {
    sweep();
    io_.run();
  });
}

HttpClientThread::~HttpClientThread() {
  stop();
}

void HttpClientThread::submit(HttpExchangePointer exchange) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      submitted_.push_back(std::move(exchange));
      if (std::exchange(woken_, true)) return;
      boost::asio::post(io_, [this] {
        take_submitted();
        settle();
      });
      return;
    }
  }
  exchange->finish(std::unexpected(HttpClientError::stopped_before_sending));
}

void HttpClientThread::stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(io_, [this] { shut_down(); });
  thread_.join();
}

void HttpClientThread::take_submitted() {
  std::vector<HttpExchangePointer> arrived;
  {
    const std::lock_guard lock(mutex_);
    arrived.swap(submitted_);
    woken_ = false;
  }
  for (HttpExchangePointer& exchange : arrived) {
    // What waits is served first.
    if (queue_.empty() && place(exchange)) continue;
    if (queue_.size() < options_.max_queued) {
      queue_.push_back(std::move(exchange));
    } else {
      exchange->finish(std::unexpected(HttpClientError::overloaded));
    }
  }
}

bool HttpClientThread::place(HttpExchangePointer& exchange) {
  if (stopping_) return false;
  Origin& origin = origins_[exchange->origin];
  while (!origin.idle.empty()) {
    HttpClientConnection* connection = origin.idle.back();
    if (!connection->is_fresh()) {
      drop_idle(*connection);
      continue;
    }
    origin.idle.pop_back();
    connection->send(std::move(exchange));
    return true;
  }
  if (origin.resolving && origin.waiting.size() < options_.max_queued) {
    origin.waiting.push_back(std::move(exchange));
    return true;
  }
  if (open_connections_ >= max_connections_ && !evict_idle()) return false;
  if (origin.endpoints && Clock::now() - origin.resolved_at < options_.resolve_ttl) {
    open(std::move(exchange), origin.endpoints);
  } else {
    resolve(origin, std::move(exchange));
  }
  return true;
}

void HttpClientThread::open(HttpExchangePointer exchange, Endpoints endpoints) {
  ++open_connections_;
  auto connection =
      std::make_unique<HttpClientConnection>(*this, std::move(exchange), std::move(endpoints));
  connection->index = connections_.size();
  connections_.push_back(std::move(connection));
  connections_.back()->start();
}

void HttpClientThread::resolve(Origin& origin, HttpExchangePointer exchange) {
  boost::system::error_code ec;
  const Url& url = exchange->url;
  const auto literal = boost::asio::ip::make_address(url.host, ec);
  if (!ec) {
    origin.endpoints =
        std::make_shared<const std::vector<Endpoint>>(1, Endpoint(literal, url.port));
    origin.resolved_at = Clock::now();
    return open(std::move(exchange), origin.endpoints);
  }
  origin.resolving = true;
  const std::string host = url.host;
  const std::uint16_t port = url.port;
  origin.waiting.push_back(std::move(exchange));
  // Entries of a std::map stay where they are.
  names_.resolve(host, port, [this, &origin](NameResolver::Endpoints endpoints) {
    on_resolved(origin, std::make_shared<const std::vector<Endpoint>>(std::move(endpoints)));
    settle();
  });
}

void HttpClientThread::on_resolved(Origin& origin, Endpoints endpoints) {
  origin.resolving = false;
  std::vector<HttpExchangePointer> waiting;
  waiting.swap(origin.waiting);
  if (endpoints->empty()) {
    origin.endpoints.reset();
    for (HttpExchangePointer& exchange : waiting) {
      exchange->finish(std::unexpected(HttpClientError::unresolved));
    }
    return;
  }
  origin.endpoints = std::move(endpoints);
  origin.resolved_at = Clock::now();
  for (HttpExchangePointer& exchange : waiting) {
    if (!place(exchange)) queue_.push_back(std::move(exchange));
  }
}

bool HttpClientThread::evict_idle() {
  HttpClientConnection* oldest = nullptr;
  for (auto& [name, origin] : origins_) {
    if (origin.idle.empty()) continue;
    HttpClientConnection* candidate = origin.idle.front();
    if (oldest == nullptr || candidate->idle_since() < oldest->idle_since()) oldest = candidate;
  }
  if (oldest == nullptr) return false;
  drop_idle(*oldest);
  return true;
}

void HttpClientThread::drop_idle(HttpClientConnection& connection) {
  // No exchange is under way that could get the error.
  connection.abort({.unsent = HttpClientError::stopped, .sent = HttpClientError::stopped});
}

void HttpClientThread::release(HttpClientConnection& connection) {
  origins_[connection.origin()].idle.push_back(&connection);
}

void HttpClientThread::forget_idle(HttpClientConnection& connection) {
  std::erase(origins_[connection.origin()].idle, &connection);
}

void HttpClientThread::remove(HttpClientConnection& connection) {
  if (connection.is_idle()) forget_idle(connection);
  --open_connections_;
}

void HttpClientThread::retire(HttpClientConnection& connection) {
  retired_.push_back(&connection);
}

void HttpClientThread::restart(HttpExchangePointer exchange) {
  queue_.push_front(std::move(exchange));
}

void HttpClientThread::settle() {
  while (!queue_.empty()) {
    HttpExchangePointer exchange = std::move(queue_.front());
    queue_.pop_front();
    if (stopping_) {
      exchange->finish(std::unexpected(HttpClientError::stopped_before_sending));
    } else if (!place(exchange)) {
      queue_.push_front(std::move(exchange));
      break;
    }
  }
  for (HttpClientConnection* connection : retired_) {
    const std::size_t index = connection->index;
    connections_.back()->index = index;
    std::swap(connections_[index], connections_.back());
    connections_.pop_back();
  }
  retired_.clear();
}

void HttpClientThread::sweep() {
  if (stopping_) return;
  now_ = Clock::now();
  // A sweep only ever closes connections; they leave the list when the event is settled.
  for (const auto& connection : connections_) connection->sweep(now_);
  for (auto& [name, origin] : origins_) expire(origin.waiting);
  expire_queue();
  if (origins_.size() > options_.max_unused_origins) forget_unused_origins();
  settle();
  sweep_timer_.expires_after(options_.sweep_interval);
  sweep_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) sweep();
  });
}

void HttpClientThread::forget_unused_origins() {
  std::erase_if(origins_, [](const auto& entry) {
    const Origin& origin = entry.second;
    return origin.idle.empty() && origin.waiting.empty() && !origin.resolving;
  });
}

void HttpClientThread::expire(std::vector<HttpExchangePointer>& waiting) {
  std::vector<HttpExchangePointer> expired;
  std::erase_if(waiting, [&](HttpExchangePointer& exchange) {
    if (now_ <= exchange->deadline) return false;
    expired.push_back(std::move(exchange));
    return true;
  });
  for (HttpExchangePointer& exchange : expired) {
    exchange->finish(std::unexpected(HttpClientError::connect_timeout));
  }
}

void HttpClientThread::expire_queue() {
  std::vector<HttpExchangePointer> expired;
  std::erase_if(queue_, [&](HttpExchangePointer& exchange) {
    if (now_ <= exchange->deadline) return false;
    expired.push_back(std::move(exchange));
    return true;
  });
  for (HttpExchangePointer& exchange : expired) {
    exchange->finish(std::unexpected(HttpClientError::connect_timeout));
  }
}

void HttpClientThread::shut_down() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  stopping_ = true;
  take_submitted();
  sweep_timer_.cancel();
  names_.close();
  for (auto& [name, origin] : origins_) {
    std::vector<HttpExchangePointer> waiting;
    waiting.swap(origin.waiting);
    for (HttpExchangePointer& exchange : waiting) {
      exchange->finish(std::unexpected(HttpClientError::stopped_before_sending));
    }
  }
  for (const auto& connection : connections_) {
    connection->abort(
        {.unsent = HttpClientError::stopped_before_sending, .sent = HttpClientError::stopped});
  }
  settle();
  work_.reset();
}

}  // namespace penstock::net
