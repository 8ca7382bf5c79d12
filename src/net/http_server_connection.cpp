#include "net/http_server_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <sys/socket.h>

namespace penstock::net {
namespace {

constexpr std::size_t kInitialInputBytes = 4096;
/// One read's size for connections that send much.
constexpr std::size_t kMaxInputBytes = std::size_t{64} * 1024;
/// How long an idle connection keeps a large buffer.
constexpr std::chrono::seconds kKeptIdle{1};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

bool is_read(HttpMethod method) {
  return method == HttpMethod::get || method == HttpMethod::head;
}

std::string_view problem_code(int status) {
  switch (status) {
    case 408:
      return "request-timeout";
    case 413:
      return "body-too-large";
    case 431:
      return "header-too-large";
    case 505:
      return "http-version";
    default:
      return "bad-request";
  }
}

/// Whether the client has sent what was not read yet.
bool has_unread_bytes(int descriptor) {
  char byte = 0;
  return ::recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

}  // namespace

HttpServerConnection::HttpServerConnection(HttpServerThread& thread, ServerSocket socket,
                                           std::uint64_t id, ServerPeer peer)
    : thread_(thread),
      limits_(thread.shared().options.limits),
      socket_(std::move(socket)),
      id_(id),
      peer_address_(peer.address.to_string()),
      visit_(std::move(peer.visit)),
      parser_({.head_bytes = limits_.head_bytes,
               .head_fields = limits_.head_fields,
               .body_bytes = limits_.body_bytes}),
      input_(kInitialInputBytes),
      ring_(1),
      waiting_since_(thread.now()) {
  boost::system::error_code ec;
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ec);
  socket_.non_blocking(true, ec);
}

HttpServerConnection::~HttpServerConnection() = default;

void HttpServerConnection::start() {
  read();
}

HttpServerConnection::Slot& HttpServerConnection::push_slot() {
  if (slots_ == ring_.size()) {
    std::vector<Slot> larger(ring_.size() * 2);
    for (std::size_t i = 0; i < slots_; ++i) larger[i] = std::move(slot(i));
    ring_ = std::move(larger);
    first_ = 0;
  }
  Slot& added = slot(slots_++);
  added = Slot();
  return added;
}

void HttpServerConnection::pop_slot() {
  Slot& front = slot(0);
  if (front.state == Slot::State::waiting) end_waiting(front);
  ready_bytes_ -= front.response.body.size();
  if (front.open) front.open->store(false, std::memory_order_relaxed);
  if (front.counted) thread_.shared().in_flight.fetch_sub(1, std::memory_order_relaxed);
  front = Slot();
  first_ = (first_ + 1) & (ring_.size() - 1);
  --slots_;
  ++first_sequence_;
}

bool HttpServerConnection::may_read() const {
  if (phase_ == Phase::lingering) return !peer_ended_;
  return phase_ == Phase::open && !input_done_ && !request_held_ &&
         slots_ < limits_.pipelined_requests && unsent() < limits_.output_bytes;
}

void HttpServerConnection::read() {
  if (reading_ || !may_read()) return;
  make_room();
  reading_ = true;
  socket_.async_read_some(
      boost::asio::buffer(input_.data() + input_end_, input_.size() - input_end_),
      [this](const boost::system::error_code& ec, std::size_t bytes) {
        reading_ = false;
        if (std::exchange(trimming_, false) && ec == boost::asio::error::operation_aborted &&
            phase_ == Phase::open) {
          return trim_input();
        }
        peer_ended_ = ec == boost::asio::error::eof;
        on_read(ec && !peer_ended_, bytes);
        thread_.settle();
      });
}

void HttpServerConnection::trim_input() {
  std::vector<char>(kInitialInputBytes).swap(input_);
  input_begin_ = input_end_ = 0;
  count_request_bytes();
  read();
}

void HttpServerConnection::make_room() {
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
    return;
  }
  if (input_end_ < input_.size()) return;
  if (input_begin_ > 0) {
    std::memmove(input_.data(), input_.data() + input_begin_, input_end_ - input_begin_);
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  // The parser refuses before it leaves more than head_bytes unread, which bounds this.
  if (input_end_ == input_.size()) input_.resize(input_.size() * 2);
}

void HttpServerConnection::on_read(bool failed, std::size_t bytes) {
  if (phase_ == Phase::closed) return release_if_idle();
  if (failed) return close();
  if (phase_ == Phase::lingering) {
    lingered_bytes_ += bytes;
    if (peer_ended_ || lingered_bytes_ > limits_.linger_bytes) return close();
    return read();
  }
  input_end_ += bytes;
  const bool filled = bytes > 0 && input_end_ == input_.size();
  if (peer_ended_) {
    input_done_ = true;
    close_after_output_ = slots_ == 0;
    thread_.mark_dirty(*this);
    return;
  }
  process_input();
  if (filled && input_begin_ == input_end_ && input_.size() < kMaxInputBytes) {
    input_.resize(input_.size() * 2);
  }
  read();
}

void HttpServerConnection::process_input() {
  if (request_held_) {
    if (phase_ != Phase::open || input_done_ || !may_dispatch()) return;
    dispatch();
  }
  while (phase_ == Phase::open && input_begin_ < input_end_ && may_read()) {
    const HttpParseProgress progress =
        parser_.feed({input_.data() + input_begin_, input_end_ - input_begin_});
    input_begin_ += progress.consumed;
    if (progress.status == HttpParseProgress::Status::failed) {
      const HttpHeadError& error = parser_.error();
      return refuse(error.status, problem_code(error.status), error.detail);
    }
    if (progress.status == HttpParseProgress::Status::need_more) return on_unfinished();
    if (!may_dispatch()) {
      in_head_ = in_body_ = false;
      request_held_ = true;
      if (!count_request_bytes()) refuse_for_room();
      return;
    }
    dispatch();
  }
}

void HttpServerConnection::on_unfinished() {
  if (parser_.head_complete()) {
    if (!in_body_) waiting_since_ = thread_.now();
    in_head_ = false;
    in_body_ = true;
  } else if (!in_head_) {
    in_head_ = true;
    waiting_since_ = thread_.now();
  }
  if (!count_request_bytes()) return refuse_for_room();
  if (in_body_ && parser_.take_continue_wish() && slots_ == 0) {
    output_ += kContinue;
    thread_.mark_dirty(*this);
  }
}

bool HttpServerConnection::may_dispatch() const {
  const std::size_t untaken = answer_bytes();
  if (slots_ == 0 && untaken == 0) return true;
  if (untaken >= limits_.output_bytes || waiting_bytes_ >= limits_.pipelined_body_bytes ||
      thread_.shared().answers.is_tight(account().answer_bytes.load(std::memory_order_relaxed))) {
    return false;
  }
  return !is_read(parser_.request().method) || waiting_reads_ < limits_.pipelined_reads;
}

void HttpServerConnection::dispatch() {
  in_head_ = in_body_ = request_held_ = false;
  waiting_since_ = thread_.now();
  const bool keep_alive = parser_.keep_alive();
  HttpRequest request = parser_.take();
  request.peer_address = peer_address_;
  Slot& added = push_slot();
  added.keep_alive = keep_alive;
  added.is_head = request.method == HttpMethod::head;
  added.is_read = is_read(request.method);
  added.minor_version = request.minor_version;
  added.counted = true;
  if (added.is_read) ++waiting_reads_;
  if (request.body.capacity() > kInitialInputBytes) {
    added.request_bytes = request.body.capacity();
    waiting_bytes_ += added.request_bytes;
  }
  if (!keep_alive) input_done_ = true;
  thread_.shared().in_flight.fetch_add(1, std::memory_order_relaxed);
  const ResponseTicket ticket{.connection = id_,
                              .sequence = first_sequence_ + static_cast<std::uint32_t>(slots_ - 1)};
  try {
    thread_.shared().handler(std::move(request), thread_.make_responder(ticket));
  } catch (...) {
    // The responder went down with the handler's frame, and so has abandoned the request.
    thread_.mark_dirty(*this);
  }
}

void HttpServerConnection::refuse(int status, std::string_view code, std::string_view detail) {
  input_done_ = true;
  in_head_ = in_body_ = request_held_ = false;
  Slot& added = push_slot();
  added.state = Slot::State::ready;
  added.keep_alive = false;
  added.response = problem_response({.status = status, .code = code, .detail = detail});
  ready_bytes_ += added.response.body.size();
  parser_.discard();
  thread_.mark_dirty(*this);
}

HttpResponse HttpServerConnection::problem_response(const HttpProblem& problem) const {
  HttpResponse response{.status = problem.status, .content_type = "application/problem+json"};
  if (problem.status == 503) response.headers.push_back({.name = "Retry-After", .value = "1"});
  response.body = thread_.shared().options.problem_body(problem);
  return response;
}

void HttpServerConnection::refuse_for_room() {
  thread_.shared().troubles.meet(HttpServerTrouble::request_bytes);
  refuse(503, "too-many-request-bytes",
         "The server holds as much of unfinished requests as it can; try again later.");
  // What is still to come is read and dropped, into little memory.
  input_begin_ = input_end_ = 0;
  std::vector<char>(kInitialInputBytes).swap(input_);
  count_request_bytes();
}

void HttpServerConnection::end_waiting(Slot& answered) {
  waiting_bytes_ -= std::exchange(answered.request_bytes, 0);
  if (answered.is_read) --waiting_reads_;
}

std::size_t HttpServerConnection::request_bytes() const {
  if (phase_ == Phase::closed) return 0;
  std::size_t bytes = waiting_bytes_;
  if (input_.size() > kInitialInputBytes) bytes += input_.size();
  if (!in_body_ && !request_held_) return bytes;
  const HttpRequest& request = parser_.request();
  const std::size_t held = request.body.capacity() + request.headers.memory_bytes();
  return held > kInitialInputBytes ? bytes + held : bytes;
}

bool HttpServerConnection::count_request_bytes() {
  const std::size_t held = request_bytes();
  if (held == counted_request_bytes_) return true;
  SharedRoom& room = thread_.shared().requests;
  std::atomic<std::size_t>& own = account().request_bytes;
  if (held > counted_request_bytes_ &&
      !room.fits(own.load(std::memory_order_relaxed), held - counted_request_bytes_)) {
    return false;
  }
  room.recount(counted_request_bytes_, held, own);
  return true;
}

void HttpServerConnection::apply(ServerCommand& command) {
  const std::size_t index = command.ticket.sequence - first_sequence_;
  if (phase_ != Phase::open || command.ticket.sequence - first_sequence_ >= slots_) {
    if (command.open) command.open->store(false, std::memory_order_relaxed);
    return;
  }
  Slot& target = slot(index);
  switch (command.kind) {
    case ServerCommand::Kind::respond:
    case ServerCommand::Kind::open_stream:
      if (target.state != Slot::State::waiting) return;
      take_answer(target, command);
      break;
    case ServerCommand::Kind::abandon:
      if (target.state == Slot::State::waiting) end_waiting(target);
      target.state = Slot::State::abandoned;
      break;
    case ServerCommand::Kind::write_stream:
      if (target.state != Slot::State::streaming) return;
      target.response.body += command.response.body;
      ready_bytes_ += command.response.body.size();
      if (unsent() + target.response.body.size() > limits_.output_bytes) return close();
      break;
    case ServerCommand::Kind::end_stream:
      if (target.state == Slot::State::streaming) target.state = Slot::State::stream_ended;
      break;
  }
  thread_.mark_dirty(*this);
}

void HttpServerConnection::take_answer(Slot& target, ServerCommand& command) {
  end_waiting(target);
  target.response = std::move(command.response);
  target.open = std::move(command.open);
  target.state =
      command.kind == ServerCommand::Kind::respond ? Slot::State::ready : Slot::State::streaming;
  HttpServerShared& shared = thread_.shared();
  const std::size_t bytes = target.response.body.size();
  if (target.is_read && bytes > limits_.small_answer_bytes &&
      !shared.answers.fits(account().answer_bytes.load(std::memory_order_relaxed), bytes)) {
    shared.troubles.meet(HttpServerTrouble::answer_bytes);
    target.state = Slot::State::ready;
    target.open.reset();
    target.response = problem_response(
        {.status = 503,
         .code = "too-many-answer-bytes",
         .detail =
             "The server holds as many answers as it can; take them faster, or ask for less."});
  }
  ready_bytes_ += target.response.body.size();
  if (bytes > limits_.small_answer_bytes) count_answer_bytes();
}

void HttpServerConnection::linger() {
  while (slots_ > 0) pop_slot();
  if (peer_ended_) return close();
  boost::system::error_code ec;
  socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ec);
  if (ec) return close();
  phase_ = Phase::lingering;
  waiting_since_ = thread_.now();
  input_begin_ = input_end_ = 0;
  request_held_ = in_head_ = in_body_ = false;
  count_request_bytes();
  count_answer_bytes();
  read();
}

void HttpServerConnection::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  while (slots_ > 0) pop_slot();
  HttpServerShared& shared = thread_.shared();
  shared.requests.recount(counted_request_bytes_, 0, account().request_bytes);
  shared.answers.recount(counted_answer_bytes_, 0, account().answer_bytes);
  shared.connections.fetch_sub(1, std::memory_order_relaxed);
  visit_.end();
  boost::system::error_code ec;
  socket_.close(ec);
  release_if_idle();
}

void HttpServerConnection::release_if_idle() {
  if (phase_ == Phase::closed && !reading_ && !writing_) thread_.retire(*this);
}

void HttpServerConnection::sweep() {
  const Clock::time_point now = thread_.now();
  if (phase_ == Phase::lingering) {
    if (now - waiting_since_ > limits_.linger_timeout) close();
    return;
  }
  if (phase_ != Phase::open) return;
  if (writing_) {
    if (!took_too_long_to_take(now)) return;
    thread_.shared().timeouts.fetch_add(1, std::memory_order_relaxed);
    return close();
  }
  if (!may_read()) {
    // It is not read from, so that the client is not the one who is late.
    waiting_since_ = now;
    return;
  }
  if (in_head_ && now - waiting_since_ > limits_.head_timeout) {
    thread_.shared().timeouts.fetch_add(1, std::memory_order_relaxed);
    return refuse(408, problem_code(408), "The request's head did not come in time.");
  }
  if (in_body_ && now - waiting_since_ > limits_.body_timeout) {
    thread_.shared().timeouts.fetch_add(1, std::memory_order_relaxed);
    return refuse(408, problem_code(408), "The request's body did not come in time.");
  }
  if (!is_idle()) return;
  if (input_.size() > kInitialInputBytes && reading_ && now - waiting_since_ > kKeptIdle) {
    // The pending read has the buffer; its handler gives it back.
    trimming_ = true;
    boost::system::error_code ec;
    socket_.cancel(ec);
  }
  const auto closing_since = thread_.closing_since();
  const bool over =
      closing_since ? now - std::max(*closing_since, waiting_since_) > limits_.closing_idle_timeout
                    : now - waiting_since_ > limits_.idle_timeout;
  // What has just come in is served; what comes later finds an orderly end, and not a reset.
  if (over && !has_unread_bytes(socket_.native_handle())) linger();
}

bool HttpServerConnection::is_idle() const {
  return phase_ == Phase::open && !in_head_ && !in_body_ && !request_held_ && slots_ == 0 &&
         !writing_ && output_.empty();
}

std::optional<HttpServerConnection::Standing> HttpServerConnection::standing() const {
  if (phase_ == Phase::lingering) return Standing{Activity::closing, waiting_since_};
  if (is_idle()) return Standing{Activity::idle, waiting_since_};
  const bool unfinished = phase_ == Phase::open && (in_head_ || in_body_) && slots_ == 0 &&
                          !writing_ && output_.empty();
  if (unfinished) return Standing{Activity::unfinished, waiting_since_};
  return std::nullopt;
}

bool HttpServerConnection::give_way() {
  if (is_idle() && has_unread_bytes(socket_.native_handle())) return false;
  close();
  return true;
}

}  // namespace penstock::net
