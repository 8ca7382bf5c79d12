#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ssl/stream.hpp>

#include "net/http_client_thread.h"
#include "net/http_parser.h"

namespace penstock::net {

/// One connection to one origin, one exchange at a time; lives on its thread alone. A read is
/// always pending while it is open, so that a server closing it is seen while it is idle.
class HttpClientConnection {
 public:
  using Clock = HttpClientThread::Clock;

  HttpClientConnection(HttpClientThread& thread, HttpExchangePointer exchange,
                       HttpClientThread::Endpoints endpoints);
  HttpClientConnection(const HttpClientConnection&) = delete;
  HttpClientConnection& operator=(const HttpClientConnection&) = delete;
  ~HttpClientConnection();

  const std::string& origin() const { return origin_; }
  bool is_idle() const { return state_ == State::idle; }
  Clock::time_point idle_since() const { return since_; }
  /// Whether the idle connection still looks usable: asks the kernel where it has been idle for
  /// more than a moment, since the server's end may be on its way through the event loop.
  bool is_fresh();
  /// Connects, then sends the exchange it was made with.
  void start();
  /// Sends on the open, idle connection.
  void send(HttpExchangePointer exchange);
  /// Ends what has run out of time.
  void sweep(Clock::time_point now);
  /// Closes; an exchange under way fails with `sent` if a byte of it has left, else `unsent`.
  struct Ending {
    HttpClientError unsent;
    HttpClientError sent;
  };
  void abort(const Ending& ending);

  /// Where the thread keeps this connection.
  std::size_t index = 0;

 private:
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, HttpClientThread::Executor>;
  enum class State : std::uint8_t { connecting, busy, idle, closed };

  void connect_next();
  void on_connected();
  void handshake();
  void begin_exchange();
  void write_plain();
  void write_rest();
  void write_tls();
  void read();
  void on_read(const boost::system::error_code& ec, std::size_t bytes);
  void on_reply_bytes();
  void complete();
  void close();
  void release_if_unused();
  template <typename Handler>
  auto guarded(Handler handler);

  HttpClientThread& thread_;
  HttpExchangePointer exchange_;
  HttpClientThread::Endpoints endpoints_;
  std::size_t next_endpoint_ = 0;
  bool any_allowed_ = false;
  const std::string origin_;
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  HttpReplyParser parser_;
  std::vector<char> input_;
  std::size_t input_end_ = 0;
  std::size_t sent_ = 0;
  /// Under TLS the kernel's part cannot be told: a write that was begun counts.
  bool maybe_sent_ = false;
  bool reused_ = false;
  State state_ = State::connecting;
  Clock::time_point since_;
  std::size_t pending_ = 0;
  bool reading_ = false;
};

}  // namespace penstock::net
