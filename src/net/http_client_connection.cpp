#include "net/http_client_connection.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <openssl/ssl.h>
#include <sys/socket.h>

namespace penstock::net {
namespace {

constexpr std::size_t kInitialInputBytes = 4096;
/// A connection that was in use so recently is not asked after.
constexpr std::chrono::milliseconds kSurelyFresh{2};

bool is_allowed(const HttpClientOptions& options, const boost::asio::ip::address& address) {
  if (!options.allow_address) return true;
  if (address.is_v4()) return options.allow_address(address.to_v4().to_bytes());
  return options.allow_address(address.to_v6().to_bytes());
}

}  // namespace

/// Counts a pending operation, and ends the event when it is done.
template <typename Handler>
auto HttpClientConnection::guarded(Handler handler) {
  ++pending_;
  return [this, work = std::move(handler)](const boost::system::error_code& ec,
                                           std::size_t bytes = 0) mutable {
    --pending_;
    if (state_ == State::closed) {
      release_if_unused();
    } else {
      work(ec, bytes);
    }
    thread_.settle();
  };
}

HttpClientConnection::HttpClientConnection(HttpClientThread& thread, HttpExchangePointer exchange,
                                           HttpClientThread::Endpoints endpoints)
    : thread_(thread),
      exchange_(std::move(exchange)),
      endpoints_(std::move(endpoints)),
      origin_(exchange_->origin),
      socket_(thread.io()),
      parser_({.head_bytes = thread.options().reply_head_bytes,
               .body_bytes = thread.options().reply_body_bytes}),
      input_(kInitialInputBytes),
      since_(Clock::now()) {}

HttpClientConnection::~HttpClientConnection() = default;

void HttpClientConnection::start() {
  connect_next();
}

void HttpClientConnection::connect_next() {
  boost::system::error_code ec;
  socket_.close(ec);
  while (next_endpoint_ < endpoints_->size()) {
    const HttpClientThread::Endpoint& endpoint = (*endpoints_)[next_endpoint_++];
    if (!is_allowed(thread_.options(), endpoint.address())) continue;
    any_allowed_ = true;
    socket_.async_connect(endpoint,
                          guarded([this](const boost::system::error_code& failed, std::size_t) {
                            if (failed) {
                              connect_next();
                            } else {
                              on_connected();
                            }
                          }));
    return;
  }
  const HttpClientError error =
      any_allowed_ ? HttpClientError::connect_failed : HttpClientError::address_refused;
  abort({.unsent = error, .sent = error});
}

void HttpClientConnection::on_connected() {
  boost::system::error_code ec;
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ec);
  socket_.non_blocking(true, ec);
  if (exchange_->url.scheme == UrlScheme::https) return handshake();
  begin_exchange();
  read();
}

void HttpClientConnection::handshake() {
  const std::string& host = exchange_->url.host;
  boost::system::error_code ec;
  tls_.emplace(socket_, thread_.tls());
  boost::asio::ip::make_address(host, ec);
  // Server Name Indication is for names alone (RFC 6066 section 3).
  const bool is_name = static_cast<bool>(ec);
  if (is_name) SSL_set_tlsext_host_name(tls_->native_handle(), host.c_str());
  tls_->set_verify_mode(boost::asio::ssl::verify_peer, ec);
  if (!ec) tls_->set_verify_callback(boost::asio::ssl::host_name_verification(host), ec);
  static constexpr Ending kFailed{.unsent = HttpClientError::tls_failed,
                                  .sent = HttpClientError::tls_failed};
  if (ec) return abort(kFailed);
  tls_->async_handshake(boost::asio::ssl::stream_base::client,
                        guarded([this](const boost::system::error_code& failed, std::size_t) {
                          if (failed) return abort(kFailed);
                          begin_exchange();
                          read();
                        }));
}

bool HttpClientConnection::is_fresh() {
  if (Clock::now() - since_ < kSurelyFresh) return true;
  char byte = 0;
  const ssize_t seen =
      ::recv(socket_.native_handle(), &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
  if (seen < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
  // Under TLS bytes may be a session ticket; in the plain they are what nobody asked for.
  return seen > 0 && tls_.has_value();
}

void HttpClientConnection::send(HttpExchangePointer exchange) {
  exchange_ = std::move(exchange);
  reused_ = true;
  begin_exchange();
}

void HttpClientConnection::begin_exchange() {
  state_ = State::busy;
  sent_ = 0;
  maybe_sent_ = false;
  input_end_ = 0;
  parser_.start(exchange_->method, exchange_->reply_body == ReplyBody::needed
                                       ? HttpReplyParser::LargeBody::fails
                                       : HttpReplyParser::LargeBody::is_cut);
  if (tls_) {
    write_tls();
  } else {
    write_plain();
  }
}

void HttpClientConnection::write_plain() {
  const ssize_t sent = ::send(socket_.native_handle(), exchange_->wire.data(),
                              exchange_->wire.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
    if (reused_ && !exchange_->moved_once) {
      exchange_->moved_once = true;
      thread_.restart(std::move(exchange_));
      return close();
    }
    return abort(
        {.unsent = HttpClientError::connect_failed, .sent = HttpClientError::connection_lost});
  }
  sent_ = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  maybe_sent_ = sent_ > 0;
  if (sent_ < exchange_->wire.size()) write_rest();
}

void HttpClientConnection::write_rest() {
  socket_.async_write_some(
      boost::asio::buffer(exchange_->wire.data() + sent_, exchange_->wire.size() - sent_),
      guarded([this](const boost::system::error_code& ec, std::size_t bytes) {
        if (!exchange_) return;
        sent_ += bytes;
        maybe_sent_ = maybe_sent_ || sent_ > 0;
        if (ec) {
          abort({.unsent = HttpClientError::connect_failed,
                 .sent = HttpClientError::connection_lost});
        } else if (sent_ < exchange_->wire.size()) {
          write_rest();
        }
      }));
}

void HttpClientConnection::write_tls() {
  maybe_sent_ = true;
  boost::asio::async_write(*tls_, boost::asio::buffer(exchange_->wire),
                           guarded([this](const boost::system::error_code& ec, std::size_t bytes) {
                             sent_ = bytes;
                             if (ec && exchange_) {
                               abort({.unsent = HttpClientError::connect_failed,
                                      .sent = HttpClientError::connection_lost});
                             }
                           }));
}

void HttpClientConnection::read() {
  if (reading_ || state_ == State::closed) return;
  if (input_end_ == input_.size()) input_.resize(input_.size() * 2);
  reading_ = true;
  const auto buffer = boost::asio::buffer(input_.data() + input_end_, input_.size() - input_end_);
  auto handler = guarded([this](const boost::system::error_code& ec, std::size_t bytes) {
    reading_ = false;
    on_read(ec, bytes);
  });
  if (tls_) {
    tls_->async_read_some(buffer, std::move(handler));
  } else {
    socket_.async_read_some(buffer, std::move(handler));
  }
}

void HttpClientConnection::on_read(const boost::system::error_code& ec, std::size_t bytes) {
  // Bytes nobody asked for, or the server closing an idle connection.
  if (state_ != State::busy) return close();
  input_end_ += bytes;
  constexpr Ending kLost{.unsent = HttpClientError::connect_failed,
                         .sent = HttpClientError::connection_lost};
  if (ec) {
    const bool clean_end = ec == boost::asio::error::eof;
    if (clean_end && parser_.feed_end().status == HttpParseProgress::Status::complete) {
      return complete();
    }
    return abort(kLost);
  }
  on_reply_bytes();
  read();
}

void HttpClientConnection::on_reply_bytes() {
  const HttpParseProgress progress = parser_.feed({input_.data(), input_end_});
  if (progress.status == HttpParseProgress::Status::failed) {
    const HttpClientError error = parser_.error() == HttpReplyParser::Error::too_large
                                      ? HttpClientError::response_too_large
                                      : HttpClientError::malformed_response;
    return abort({.unsent = error, .sent = error});
  }
  input_end_ -= progress.consumed;
  std::memmove(input_.data(), input_.data() + progress.consumed, input_end_);
  if (progress.status == HttpParseProgress::Status::complete) complete();
}

void HttpClientConnection::complete() {
  const bool reusable = parser_.keep_alive() && input_end_ == 0 && sent_ == exchange_->wire.size();
  HttpReply reply = parser_.take();
  const HttpExchangePointer exchange = std::move(exchange_);
  if (reusable) {
    state_ = State::idle;
    since_ = Clock::now();
    if (input_.size() > kInitialInputBytes) std::vector<char>(kInitialInputBytes).swap(input_);
    thread_.release(*this);
  } else {
    close();
  }
  exchange->finish(std::move(reply));
}

void HttpClientConnection::sweep(Clock::time_point now) {
  const HttpClientOptions& options = thread_.options();
  if (state_ == State::idle && now - since_ > options.idle_timeout) return close();
  const bool slow_connect = state_ == State::connecting && now - since_ > options.connect_timeout;
  if (slow_connect || (exchange_ && now > exchange_->deadline)) {
    abort({.unsent = HttpClientError::connect_timeout, .sent = HttpClientError::timeout});
  }
}

void HttpClientConnection::abort(const Ending& ending) {
  const HttpExchangePointer exchange = std::move(exchange_);
  const HttpClientError error = maybe_sent_ ? ending.sent : ending.unsent;
  const bool has_answer = exchange && exchange->reply_body == ReplyBody::optional &&
                          state_ == State::busy && parser_.has_status();
  close();
  if (has_answer) return exchange->finish(parser_.take());
  if (exchange) exchange->finish(std::unexpected(error));
}

void HttpClientConnection::close() {
  if (state_ == State::closed) return;
  thread_.remove(*this);
  state_ = State::closed;
  boost::system::error_code ec;
  socket_.close(ec);
  release_if_unused();
}

void HttpClientConnection::release_if_unused() {
  if (pending_ == 0) thread_.retire(*this);
}

}  // namespace penstock::net
