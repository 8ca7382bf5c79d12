#include "net/http_server_thread.h"

#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include "net/http_response_text.h"
#include "net/http_server_connection.h"

namespace penstock::net {
namespace {

/// The loop that the calling thread is running: tells answers given inside a handler, which need
/// no lock and no wake-up, from those of other threads.
thread_local const HttpServerThread* current_thread = nullptr;

}  // namespace

/// Commands from other threads on their way to the loop. Outlives it: a responder may be used
/// after the server has gone.
class HttpServerThread::Mailbox final : public ResponseSink {
 public:
  explicit Mailbox(HttpServerThread& loop) : owner_(&loop), loop_(&loop) {}

  void respond(ResponseTicket ticket, HttpResponse&& response) override {
    put({.kind = ServerCommand::Kind::respond, .ticket = ticket, .response = std::move(response)});
  }
  void abandon(ResponseTicket ticket) override {
    put({.kind = ServerCommand::Kind::abandon, .ticket = ticket});
  }
  void open_stream(ResponseTicket ticket, HttpResponse&& head,
                   std::shared_ptr<std::atomic<bool>> open) override {
    put({.kind = ServerCommand::Kind::open_stream,
         .ticket = ticket,
         .response = std::move(head),
         .open = std::move(open)});
  }
  void write_stream(ResponseTicket ticket, std::string&& bytes) override {
    ServerCommand command{.kind = ServerCommand::Kind::write_stream, .ticket = ticket};
    command.response.body = std::move(bytes);
    put(std::move(command));
  }
  void end_stream(ResponseTicket ticket) override {
    put({.kind = ServerCommand::Kind::end_stream, .ticket = ticket});
  }

  void take(std::vector<ServerCommand>& into) {
    const std::lock_guard lock(mutex_);
    into.swap(waiting_);
    woken_ = false;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    owner_ = nullptr;
    for (ServerCommand& command : waiting_) lose(command);
    waiting_.clear();
  }

 private:
  static void lose(ServerCommand& command) {
    if (command.open) command.open->store(false, std::memory_order_relaxed);
  }

  void put(ServerCommand&& command) {
    if (current_thread == loop_) {
      loop_->commands_.push_back(std::move(command));
      return;
    }
    const std::lock_guard lock(mutex_);
    if (owner_ == nullptr) return lose(command);
    waiting_.push_back(std::move(command));
    if (std::exchange(woken_, true)) return;
    boost::asio::post(owner_->io_, [owner = owner_] {
      owner->drain_mailbox();
      owner->settle();
    });
  }

  std::mutex mutex_;
  std::vector<ServerCommand> waiting_;
  bool woken_ = false;
  /// Null once the loop takes no more.
  HttpServerThread* owner_;
  /// Followed only where it is the calling thread's own loop, which then is alive.
  HttpServerThread* const loop_;
};

HttpServerThread::HttpServerThread(HttpServerShared& shared, Duty duty)
    : shared_(shared),
      io_(1),
      work_(boost::asio::make_work_guard(io_)),
      sweep_timer_(io_),
      sink_(std::make_shared<Mailbox>(*this)),
      now_(Clock::now()),
      sweeps_for_all_(duty == Duty::whole_server) {}

HttpServerThread::~HttpServerThread() {
  stop();
}

void HttpServerThread::start() {
  thread_ = std::thread([this] {
    current_thread = this;
    sweep();
    io_.run();
    current_thread = nullptr;
  });
}

void HttpServerThread::stop() {
  if (thread_.joinable()) {
    boost::asio::post(io_, [this] { shut_down(); });
    thread_.join();
  }
  sink_->close();
}

Responder HttpServerThread::make_responder(ResponseTicket ticket) {
  return {sink_, ticket};
}

void HttpServerThread::adopt(ServerSocket socket) {
  boost::asio::dispatch(io_, [this, accepted = std::move(socket)]() mutable {
    insert(std::move(accepted));
    settle();
  });
}

HttpServerConnection* HttpServerThread::find(std::uint64_t id) {
  const auto index = static_cast<std::uint32_t>(id);
  if (index >= entries_.size() || entries_[index].generation != id >> 32U) return nullptr;
  return entries_[index].connection.get();
}

void HttpServerThread::drain_mailbox() {
  // The mailbox goes on with the vector emptied last time: neither side allocates in the long run.
  sink_->take(arrived_);
  for (ServerCommand& command : arrived_) apply(command);
  arrived_.clear();
}

void HttpServerThread::apply(ServerCommand& command) {
  if (HttpServerConnection* connection = find(command.ticket.connection)) {
    connection->apply(command);
  } else if (command.open) {
    command.open->store(false, std::memory_order_relaxed);
  }
}

void HttpServerThread::settle() {
  while (!commands_.empty() || !dirty_.empty()) {
    applying_.swap(commands_);
    for (ServerCommand& command : applying_) apply(command);
    applying_.clear();
    flushing_.swap(dirty_);
    for (HttpServerConnection* connection : flushing_) {
      connection->dirty = false;
      connection->flush();
    }
    flushing_.clear();
  }
  for (HttpServerConnection* connection : retired_) {
    const auto index = static_cast<std::uint32_t>(connection->id());
    entries_[index].connection.reset();
    free_entries_.push_back(index);
  }
  retired_.clear();
}

void HttpServerThread::mark_dirty(HttpServerConnection& connection) {
  if (connection.dirty) return;
  connection.dirty = true;
  dirty_.push_back(&connection);
}

void HttpServerThread::retire(HttpServerConnection& connection) {
  retired_.push_back(&connection);
}

void HttpServerThread::arm_sweep() {
  sweep_timer_.expires_after(shared_.options.limits.sweep_interval);
  sweep_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec && !stopping_) sweep();
  });
}

void HttpServerThread::sweep() {
  now_ = Clock::now();
  if (!closing_since_ && shared_.closing.load(std::memory_order_relaxed)) closing_since_ = now_;
  const std::time_t second = std::time(nullptr);
  if (second != date_second_) {
    date_second_ = second;
    date_line_ = net::date_line(second);
  }
  for (const Entry& entry : entries_) {
    if (entry.connection) entry.connection->sweep();
  }
  if (sweeps_for_all_) shared_.troubles.look(now_);
  settle();
  arm_sweep();
}

void HttpServerThread::shut_down() {
  drain_mailbox();
  settle();
  stopping_ = true;
  sink_->close();
  sweep_timer_.cancel();
  for (const Entry& entry : entries_) {
    if (entry.connection) entry.connection->shut_down();
  }
  settle();
  work_.reset();
}

}  // namespace penstock::net
