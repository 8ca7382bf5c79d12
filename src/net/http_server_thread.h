#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "net/http_server.h"
#include "net/http_server_clients.h"
#include "net/http_server_troubles.h"

namespace penstock::net {

/// A socket bound to one io_context: spares the type-erased executor's cost on each operation.
using ServerSocket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

/// What all threads of one server share.
struct HttpServerShared {
  explicit HttpServerShared(HttpServerOptions wanted)
      : options(std::move(wanted)),
        requests(options.limits.request_room_bytes),
        answers(options.limits.answer_room_bytes),
        troubles(options) {}

  const HttpServerOptions options;
  HttpHandler handler{};
  /// Answers say that their connection closes.
  std::atomic<bool> closing{false};
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> in_flight{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> gave_way{0};
  std::atomic<std::uint64_t> timeouts{0};
  ClientBook clients{};
  SharedRoom requests;
  SharedRoom answers;
  HttpServerTroubles troubles;
};

/// One thing an answerer asks of a connection.
struct ServerCommand {
  enum class Kind : std::uint8_t { respond, abandon, open_stream, write_stream, end_stream };
  Kind kind = Kind::respond;
  ResponseTicket ticket{};
  HttpResponse response{};
  std::shared_ptr<std::atomic<bool>> open{};
};

/// Who is at the other end of a connection.
struct ServerPeer {
  boost::asio::ip::address address;
  ClientBook::Visit visit;
};

class HttpServerConnection;

/// One event loop with its thread and its connections. Everything below the constructor's line
/// runs on that thread, unless it says otherwise.
class HttpServerThread {
 public:
  using Clock = std::chrono::steady_clock;

  /// What one thread of a server does beside its connections.
  enum class Duty : std::uint8_t { own_connections, whole_server };

  HttpServerThread(HttpServerShared& shared, Duty duty);
  HttpServerThread(const HttpServerThread&) = delete;
  HttpServerThread& operator=(const HttpServerThread&) = delete;
  ~HttpServerThread();

  /// Starts the loop; from the server's caller.
  void start();
  /// Closes all and joins; from the server's caller.
  void stop();
  /// Takes over an accepted socket, which must belong to io(); from any thread.
  void adopt(ServerSocket socket);
  /// Closes some idle connections, because the system has no descriptor left; from any thread.
  void free_descriptors();
  boost::asio::io_context& io() { return io_; }

  HttpServerShared& shared() { return shared_; }
  /// The time of the last sweep: every timeout is measured with it.
  Clock::time_point now() const { return now_; }
  /// When this thread learnt that the server is closing.
  std::optional<Clock::time_point> closing_since() const { return closing_since_; }
  const std::string& date_line() const { return date_line_; }
  Responder make_responder(ResponseTicket ticket);
  /// Ends an event: applies the answers given inside of it, writes, frees what is closed.
  void settle();
  /// Asks for the connection to be flushed when the current event is settled.
  void mark_dirty(HttpServerConnection& connection);
  /// Frees a connection that is closed and has no operation pending, at the event's end.
  void retire(HttpServerConnection& connection);

 private:
  class Mailbox;
  struct Entry {
    std::unique_ptr<HttpServerConnection> connection{};
    std::uint32_t generation = 0;
  };

  enum class GivingWay : std::uint8_t { same_address, any_address };

  void insert(ServerSocket socket);
  /// Whether a new connection of that address, which is counted already, may stay.
  bool make_room(const ClientAccount& newcomer);
  /// Closes connections for one of the newcomer's address; says how many.
  std::size_t close_some(const ClientAccount& newcomer, GivingWay who);
  void refuse(ServerSocket socket);
  void drain_mailbox();
  void apply(ServerCommand& command);
  HttpServerConnection* find(std::uint64_t id);
  void arm_sweep();
  void sweep();
  void shut_down();

  HttpServerShared& shared_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>,
                                    boost::asio::io_context::executor_type>
      sweep_timer_;
  std::shared_ptr<Mailbox> sink_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_entries_;
  std::vector<HttpServerConnection*> dirty_;
  std::vector<HttpServerConnection*> retired_;
  /// Given inside handlers, on this thread.
  std::vector<ServerCommand> commands_;
  /// Each is the other half of a pair that is swapped, to keep both halves' memory.
  std::vector<ServerCommand> arrived_;
  std::vector<ServerCommand> applying_;
  std::vector<HttpServerConnection*> flushing_;
  Clock::time_point now_;
  std::optional<Clock::time_point> closing_since_;
  std::time_t date_second_ = 0;
  std::string date_line_;
  const bool sweeps_for_all_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace penstock::net
