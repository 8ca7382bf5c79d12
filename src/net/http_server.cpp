#include "net/http_server.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>

#include "net/http_response_text.h"
#include "net/http_server_thread.h"
#include "net/json_writer.h"

namespace penstock::net {
namespace {

using boost::asio::ip::tcp;

HttpServerError to_error(const boost::system::error_code& ec) {
  if (ec == boost::asio::error::address_in_use) return HttpServerError::address_in_use;
  if (ec == boost::asio::error::access_denied) return HttpServerError::permission_denied;
  return HttpServerError::cannot_listen;
}

}  // namespace

std::string default_problem_body(const HttpProblem& problem) {
  std::string body;
  JsonWriter(body)
      .begin_object()
      .member("type", "about:blank")
      .member("title", reason_phrase(problem.status))
      .member("status", problem.status)
      .member("detail", problem.detail)
      .member("code", problem.code)
      .end_object();
  return body;
}

std::string_view to_string(HttpServerError error) {
  switch (error) {
    case HttpServerError::invalid_address:
      return "invalid_address";
    case HttpServerError::address_in_use:
      return "address_in_use";
    case HttpServerError::permission_denied:
      return "permission_denied";
    case HttpServerError::cannot_listen:
      return "cannot_listen";
  }
  return "cannot_listen";
}

HttpStream::HttpStream(std::shared_ptr<ResponseSink> sink, ResponseTicket ticket,
                       std::shared_ptr<std::atomic<bool>> open)
    : sink_(std::move(sink)), ticket_(ticket), open_(std::move(open)) {}

HttpStream& HttpStream::operator=(HttpStream&& other) noexcept {
  if (this != &other) {
    end();
    sink_ = std::move(other.sink_);
    ticket_ = other.ticket_;
    open_ = std::move(other.open_);
  }
  return *this;
}

HttpStream::~HttpStream() {
  end();
}

bool HttpStream::is_open() const {
  return sink_ && open_->load(std::memory_order_relaxed);
}

bool HttpStream::write(std::string bytes) {
  if (!is_open()) return false;
  sink_->write_stream(ticket_, std::move(bytes));
  return true;
}

void HttpStream::end() {
  if (const auto sink = std::exchange(sink_, nullptr)) sink->end_stream(ticket_);
}

Responder::Responder(std::shared_ptr<ResponseSink> sink, ResponseTicket ticket)
    : sink_(std::move(sink)), ticket_(ticket) {}

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    abandon();
    sink_ = std::move(other.sink_);
    ticket_ = other.ticket_;
  }
  return *this;
}

Responder::~Responder() {
  abandon();
}

void Responder::send(HttpResponse response) {
  if (const auto sink = std::exchange(sink_, nullptr)) sink->respond(ticket_, std::move(response));
}

void Responder::abandon() {
  if (const auto sink = std::exchange(sink_, nullptr)) sink->abandon(ticket_);
}

HttpStream Responder::stream(HttpResponse head) {
  auto sink = std::exchange(sink_, nullptr);
  if (!sink) return {};
  auto open = std::make_shared<std::atomic<bool>>(true);
  sink->open_stream(ticket_, std::move(head), open);
  return {std::move(sink), ticket_, std::move(open)};
}

struct HttpServer::Impl {
  using Acceptor = boost::asio::basic_socket_acceptor<tcp, boost::asio::io_context::executor_type>;

  explicit Impl(HttpServerOptions options) : shared(std::move(options)) {}

  std::expected<void, HttpServerError> listen(const tcp::endpoint& endpoint) {
    boost::system::error_code ec;
    acceptor.emplace(threads.front()->io());
    acceptor->open(endpoint.protocol(), ec);
    if (!ec) acceptor->set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor->bind(endpoint, ec);
    if (!ec) acceptor->listen(boost::asio::socket_base::max_listen_connections, ec);
    if (ec) return std::unexpected(to_error(ec));
    port = acceptor->local_endpoint(ec).port();
    return {};
  }

  void accept() {
    HttpServerThread& target = *threads[next_thread];
    next_thread = (next_thread + 1) % threads.size();
    incoming.emplace(target.io());
    acceptor->async_accept(*incoming, [this, &target](const boost::system::error_code& ec) {
      if (!ec) take(target, std::move(*incoming));
      if (!acceptor->is_open()) return;
      if (ec) return pause_accepting();
      accept();
    });
  }

  /// Whoever has connected by now, so that closing the listening socket resets nobody.
  void accept_the_waiting() {
    boost::system::error_code ec;
    acceptor->non_blocking(true, ec);
    while (!ec) {
      HttpServerThread& target = *threads[next_thread];
      next_thread = (next_thread + 1) % threads.size();
      ServerSocket socket(target.io());
      acceptor->accept(socket, ec);
      if (!ec) take(target, std::move(socket));
    }
  }

  /// Out of descriptors or memory: trying at once would only spin. Who has connected waits.
  void pause_accepting() {
    shared.troubles.meet(HttpServerTrouble::accepting);
    for (const auto& thread : threads) thread->free_descriptors();
    accept_pause->expires_after(shared.options.limits.sweep_interval);
    accept_pause->async_wait([this](const boost::system::error_code& ec) {
      if (!ec && acceptor->is_open()) accept();
    });
  }

  void take(HttpServerThread& target, ServerSocket socket) {
    shared.connections.fetch_add(1, std::memory_order_relaxed);
    shared.accepted.fetch_add(1, std::memory_order_relaxed);
    target.adopt(std::move(socket));
  }

  void close_acceptor() {
    boost::system::error_code ec;
    if (accept_pause) accept_pause->cancel();
    if (!acceptor) return;
    accept_the_waiting();
    acceptor->close(ec);
  }

  HttpServerShared shared;
  std::vector<std::unique_ptr<HttpServerThread>> threads;
  std::optional<Acceptor> acceptor;
  std::optional<boost::asio::basic_waitable_timer<HttpServerThread::Clock,
                                                  boost::asio::wait_traits<HttpServerThread::Clock>,
                                                  boost::asio::io_context::executor_type>>
      accept_pause;
  std::optional<ServerSocket> incoming;
  std::size_t next_thread = 0;
  std::uint16_t port = 0;
  std::atomic<bool> accepting_ended{false};
  std::atomic<bool> stopped{false};
};

HttpServer::HttpServer(HttpServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

HttpServer::~HttpServer() {
  stop();
}

std::expected<void, HttpServerError> HttpServer::start(HttpHandler handler) {
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(impl_->shared.options.address, ec);
  if (ec) return std::unexpected(HttpServerError::invalid_address);
  impl_->shared.handler = std::move(handler);
  const std::size_t count = std::max<std::size_t>(impl_->shared.options.threads, 1);
  for (std::size_t i = 0; i < count; ++i) {
    impl_->threads.push_back(std::make_unique<HttpServerThread>(
        impl_->shared,
        i == 0 ? HttpServerThread::Duty::whole_server : HttpServerThread::Duty::own_connections));
  }
  if (auto listening = impl_->listen({address, impl_->shared.options.port}); !listening) {
    impl_->acceptor.reset();
    return listening;
  }
  impl_->accept_pause.emplace(impl_->threads.front()->io());
  boost::asio::post(impl_->threads.front()->io(), [impl = impl_.get()] { impl->accept(); });
  for (const auto& thread : impl_->threads) thread->start();
  return {};
}

std::uint16_t HttpServer::port() const {
  return impl_->port;
}

void HttpServer::begin_close() {
  impl_->shared.closing.store(true, std::memory_order_relaxed);
}

void HttpServer::stop_accepting() {
  begin_close();
  if (impl_->accepting_ended.exchange(true) || !impl_->acceptor || impl_->stopped) return;
  boost::asio::post(impl_->threads.front()->io(), [impl = impl_.get()] { impl->close_acceptor(); });
}

std::size_t HttpServer::requests_in_flight() const {
  return impl_->shared.in_flight.load(std::memory_order_relaxed);
}

std::size_t HttpServer::connections() const {
  return impl_->shared.connections.load(std::memory_order_relaxed);
}

HttpServerUsage HttpServer::usage() const {
  const HttpServerShared& shared = impl_->shared;
  return {.connections = connections(),
          .request_bytes = shared.requests.used(),
          .answer_bytes = shared.answers.used(),
          .accepted = shared.accepted.load(std::memory_order_relaxed),
          .gave_way = shared.gave_way.load(std::memory_order_relaxed),
          .refused_connections = shared.troubles.count(HttpServerTrouble::connections),
          .refused_requests = shared.troubles.count(HttpServerTrouble::request_bytes),
          .refused_answers = shared.troubles.count(HttpServerTrouble::answer_bytes),
          .failed_accepts = shared.troubles.count(HttpServerTrouble::accepting),
          .timeouts = shared.timeouts.load(std::memory_order_relaxed)};
}

void HttpServer::stop() {
  if (impl_->stopped) return;
  stop_accepting();
  impl_->stopped = true;
  // In reverse: the first thread accepts, and so may still hand sockets to the others, which
  // close them unread.
  for (auto thread = impl_->threads.rbegin(); thread != impl_->threads.rend(); ++thread) {
    (*thread)->stop();
  }
}

}  // namespace penstock::net
