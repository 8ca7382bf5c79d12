#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace penstock::net {

/// Every bound of the server. Times are kept by one sweep a thread, so they are met to within
/// two `sweep_interval`s.
struct HttpServerLimits {
  std::size_t head_bytes = std::size_t{16} * 1024;
  std::size_t head_fields = 100;
  std::size_t body_bytes = std::size_t{256} * 1024;
  /// Open at one time, all threads together. For a further one, connections give way that no
  /// request is served on: of the address that has most, the one that was idle longest first.
  /// Where there are none, the new one gets a 503 and is closed.
  std::size_t connections = 10'000;
  /// Of these, for one client address (an IPv6 client's is its /64); 0: nine tenths. A further one
  /// takes the place of the same address's connection that was idle longest.
  std::size_t connections_per_address = 0;
  /// Requests of one connection that are not answered yet; then it is not read from.
  std::size_t pipelined_requests = 64;
  /// Of these, GET and HEAD requests, whose answers may be large; the next one waits its turn.
  std::size_t pipelined_reads = 4;
  /// Bodies of a connection's requests that are not answered yet; then the next one waits.
  std::size_t pipelined_body_bytes = std::size_t{1024} * 1024;
  /// Answers a client has not taken yet; then no further request of its connection is begun, and
  /// a stream is cut off.
  std::size_t output_bytes = std::size_t{1024} * 1024;
  /// Requests in memory that have not come in whole or are not answered, of all connections
  /// together, with a dynamic threshold an address (SharedRoom). What does not fit gets a 503 and
  /// is closed. Heads and bodies up to 4 KiB are not counted: `connections` bounds them.
  std::size_t request_room_bytes = std::size_t{128} * 1024 * 1024;
  /// Answers that clients have not taken, likewise. From half of it on, a connection is served one
  /// request at a time; a GET's answer of more than `small_answer_bytes` that does not fit is
  /// replaced by a 503.
  std::size_t answer_room_bytes = std::size_t{128} * 1024 * 1024;
  std::size_t small_answer_bytes = std::size_t{16} * 1024;
  /// No request begun.
  std::chrono::milliseconds idle_timeout{75'000};
  /// The same once begin_close() was called.
  std::chrono::milliseconds closing_idle_timeout{500};
  /// From a request's first byte to the end of its head; then 408.
  std::chrono::milliseconds head_timeout{10'000};
  /// From the end of the head to the end of the body; then 408.
  std::chrono::milliseconds body_timeout{30'000};
  /// For a client to take what is ready for it, whole, and longer by what `write_rate` (bytes a
  /// second) allows for its length; then the connection is closed. A client that takes byte by
  /// byte gets no more time.
  std::chrono::milliseconds write_timeout{30'000};
  std::size_t write_rate = std::size_t{256} * 1024;
  /// How long, and how many bytes, a closing connection still reads, so that an answer to a
  /// client which is still sending is not lost to a reset (RFC 9112 section 9.6).
  std::chrono::milliseconds linger_timeout{2'000};
  std::size_t linger_bytes = std::size_t{8} * 1024 * 1024;
  std::chrono::milliseconds sweep_interval{250};
  /// Without a further refusal; then a trouble has ended (HttpServerTrouble).
  std::chrono::milliseconds trouble_quiet{5'000};
};

/// An answer which the server itself gives to what is no request.
struct HttpProblem {
  /// 400, 408, 413, 431, 503 or 505.
  int status = 400;
  /// bad-request, request-timeout, body-too-large, header-too-large, http-version,
  /// too-many-connections, too-many-request-bytes or too-many-answer-bytes. Static text.
  std::string_view code;
  /// One sentence. Static text.
  std::string_view detail;
};

/// Renders a problem as an application/problem+json body. Called on the server's threads,
/// concurrently.
using HttpProblemBody = std::function<std::string(const HttpProblem&)>;

/// RFC 9457 members type ("about:blank"), title, status, detail, and code.
std::string default_problem_body(const HttpProblem& problem);

/// What of a server is full or does not work. Each begins with the first client that it costs
/// something, and ends when it has cost nobody anything for a while.
enum class HttpServerTrouble : std::uint8_t {
  connections,    ///< a connection was refused
  request_bytes,  ///< a request was refused because of request_room_bytes
  answer_bytes,   ///< an answer was replaced because of answer_room_bytes
  accepting,      ///< the system gives no descriptor or no memory for a new connection
};
std::string_view to_string(HttpServerTrouble trouble);

/// Called on the server's threads when a trouble begins (true) and ends (false); must not block.
using HttpServerTroubleNotice = std::function<void(HttpServerTrouble, bool begins)>;

struct HttpServerOptions {
  /// An IPv4 or IPv6 address to listen on.
  std::string address = "127.0.0.1";
  /// 0: any free one; port() tells which.
  std::uint16_t port = 0;
  /// Each runs its own event loop and owns the connections given to it.
  std::size_t threads = 1;
  HttpServerLimits limits{};
  HttpProblemBody problem_body = default_problem_body;
  HttpServerTroubleNotice trouble{};  ///< empty: nobody is told
};

/// What a server has done and holds, for its metrics. Counts are since the start.
struct HttpServerUsage {
  std::size_t connections = 0;
  std::size_t request_bytes = 0;  ///< of request_room_bytes
  std::size_t answer_bytes = 0;   ///< of answer_room_bytes
  std::uint64_t accepted = 0;
  std::uint64_t gave_way = 0;             ///< closed to make room for a new connection
  std::uint64_t refused_connections = 0;  ///< HttpServerTrouble::connections
  std::uint64_t refused_requests = 0;     ///< HttpServerTrouble::request_bytes
  std::uint64_t refused_answers = 0;      ///< HttpServerTrouble::answer_bytes
  std::uint64_t failed_accepts = 0;       ///< HttpServerTrouble::accepting
  std::uint64_t timeouts = 0;             ///< a head, a body or the taking of an answer
};

enum class HttpServerError : std::uint8_t {
  invalid_address,
  address_in_use,
  permission_denied,
  cannot_listen,
};
std::string_view to_string(HttpServerError error);

/// Names one request of one connection.
struct ResponseTicket {
  std::uint64_t connection = 0;
  std::uint32_t sequence = 0;
};

/// Where answers go. The server has its own; a test of a handler can bring another. Methods are
/// called from any thread, at most one of respond, abandon and open_stream a ticket.
class ResponseSink {
 public:
  ResponseSink() = default;
  ResponseSink(const ResponseSink&) = delete;
  ResponseSink& operator=(const ResponseSink&) = delete;
  virtual ~ResponseSink() = default;

  virtual void respond(ResponseTicket ticket, HttpResponse&& response) = 0;
  virtual void abandon(ResponseTicket ticket) = 0;
  /// `open` is to become false when the connection is gone.
  virtual void open_stream(ResponseTicket ticket, HttpResponse&& head,
                           std::shared_ptr<std::atomic<bool>> open) = 0;
  virtual void write_stream(ResponseTicket ticket, std::string&& bytes) = 0;
  virtual void end_stream(ResponseTicket ticket) = 0;
};

/// A body that is written bit by bit (server-sent events). Movable; ends when destroyed. Methods
/// may be called from any thread, by one at a time.
class HttpStream {
 public:
  HttpStream() = default;
  HttpStream(std::shared_ptr<ResponseSink> sink, ResponseTicket ticket,
             std::shared_ptr<std::atomic<bool>> open);
  HttpStream(HttpStream&&) noexcept = default;
  HttpStream& operator=(HttpStream&& other) noexcept;
  ~HttpStream();

  /// False once the client is gone, or was cut off because it fell behind by more than
  /// HttpServerLimits::output_bytes.
  bool is_open() const;
  /// Queues bytes for the client; false, and nothing done, once it is not open.
  bool write(std::string bytes);
  /// Completes the answer.
  void end();

 private:
  std::shared_ptr<ResponseSink> sink_;
  ResponseTicket ticket_;
  std::shared_ptr<std::atomic<bool>> open_;
};

/// The right to answer one request, once, from any thread; may outlive the server, where it has
/// no effect any more. Movable. Destroyed without a call, it abandons.
/// Answers from one thread in a burst cost one wake-up of the server's thread, not one each.
class Responder {
 public:
  Responder() = default;
  Responder(std::shared_ptr<ResponseSink> sink, ResponseTicket ticket);
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&& other) noexcept;
  ~Responder();

  /// Whether the answer is still owed through this handle.
  explicit operator bool() const { return sink_ != nullptr; }
  /// Answers. The bytes leave after those of the connection's earlier requests.
  void send(HttpResponse response);
  /// Closes the connection without an answer: the outcome stays unknown to the client.
  void abandon();
  /// Sends status and headers now and the body later (chunked; to the connection's end for an
  /// HTTP/1.0 client). `head.body` is its beginning.
  HttpStream stream(HttpResponse head);

 private:
  std::shared_ptr<ResponseSink> sink_;
  ResponseTicket ticket_;
};

/// Takes a request and the right to answer it. Called on the server's threads (concurrently where
/// there are several); must not block. An exception it lets out abandons the request.
using HttpHandler = std::function<void(HttpRequest&&, Responder)>;

/// An HTTP/1.1 server (RFC 9110, RFC 9112): keep-alive, pipelining with answers in order, chunked
/// requests, Expect: 100-continue, HEAD, HTTP/1.0. What is not plainly a request is refused with a
/// problem and the connection is closed (see check_request_head). All methods may be called from
/// any thread but the server's own.
class HttpServer {
 public:
  explicit HttpServer(HttpServerOptions options);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  /// Stops.
  ~HttpServer();

  /// Listens and begins to serve on threads of its own. Called once.
  std::expected<void, HttpServerError> start(HttpHandler handler);
  /// The port listened on, once started.
  std::uint16_t port() const;
  /// Begins to part from the clients; connections are still accepted. From now on an answer says
  /// `Connection: close` and ends its connection, where no other request of that connection waits
  /// for its own answer, and a connection that is idle for `closing_idle_timeout` is closed. No
  /// request that was taken from a connection is left without its answer. Repeated calls do
  /// nothing.
  void begin_close();
  /// Does what begin_close() does, and closes the listening socket; what has connected until then
  /// is served. Repeated calls do nothing.
  void stop_accepting();
  /// Requests handed to the handler and not answered yet.
  std::size_t requests_in_flight() const;
  /// Open connections.
  std::size_t connections() const;
  HttpServerUsage usage() const;
  /// Closes all: answers given so far are sent as far as the kernel takes them at once, requests
  /// without one are abandoned. Returns when the threads have ended. Repeated calls do nothing.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::net
