#include "net/http_server_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <sys/socket.h>

#include "net/http_response_text.h"

namespace penstock::net {
namespace {

constexpr std::size_t kInitialInputBytes = 4096;
/// One read's size for connections that send much.
constexpr std::size_t kMaxInputBytes = std::size_t{64} * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

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

/// Empties a buffer, and gives its memory back where one large answer had made it grow.
void clear_output(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kMaxInputBytes) std::string().swap(buffer);
}

/// What the kernel took of the bytes at once; -1 for a broken connection.
ssize_t send_now(int descriptor, std::string_view bytes) {
  const ssize_t sent = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

/// Whether the client has sent what was not read yet.
bool has_unread_bytes(int descriptor) {
  char byte = 0;
  return ::recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

}  // namespace

HttpServerConnection::HttpServerConnection(HttpServerThread& thread, ServerSocket socket,
                                           std::uint64_t id)
    : thread_(thread),
      limits_(thread.shared().options.limits),
      socket_(std::move(socket)),
      id_(id),
      parser_({.head_bytes = limits_.head_bytes,
               .head_fields = limits_.head_fields,
               .body_bytes = limits_.body_bytes}),
      input_(kInitialInputBytes),
      ring_(1),
      waiting_since_(thread.now()) {
  boost::system::error_code ec;
  const auto peer = socket_.remote_endpoint(ec);
  if (!ec) peer_address_ = peer.address().to_string();
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
  if (front.open) front.open->store(false, std::memory_order_relaxed);
  if (front.counted) thread_.shared().in_flight.fetch_sub(1, std::memory_order_relaxed);
  front = Slot();
  first_ = (first_ + 1) & (ring_.size() - 1);
  --slots_;
  ++first_sequence_;
}

bool HttpServerConnection::may_read() const {
  if (phase_ == Phase::lingering) return !peer_ended_;
  return phase_ == Phase::open && !input_done_ && slots_ < limits_.pipelined_requests &&
         unsent() < limits_.output_bytes;
}

void HttpServerConnection::read() {
  if (reading_ || !may_read()) return;
  make_room();
  reading_ = true;
  socket_.async_read_some(
      boost::asio::buffer(input_.data() + input_end_, input_.size() - input_end_),
      [this](const boost::system::error_code& ec, std::size_t bytes) {
        reading_ = false;
        peer_ended_ = ec == boost::asio::error::eof;
        on_read(ec && !peer_ended_, bytes);
        thread_.settle();
      });
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
  while (phase_ == Phase::open && input_begin_ < input_end_ && may_read()) {
    const HttpParseProgress progress =
        parser_.feed({input_.data() + input_begin_, input_end_ - input_begin_});
    input_begin_ += progress.consumed;
    if (progress.status == HttpParseProgress::Status::complete) {
      dispatch();
      continue;
    }
    if (progress.status == HttpParseProgress::Status::failed) {
      const HttpHeadError& error = parser_.error();
      return refuse(error.status, problem_code(error.status), error.detail);
    }
    if (parser_.head_complete()) {
      if (!in_body_) waiting_since_ = thread_.now();
      in_head_ = false;
      in_body_ = true;
      if (parser_.take_continue_wish() && slots_ == 0) {
        output_ += kContinue;
        thread_.mark_dirty(*this);
      }
    } else if (!in_head_) {
      in_head_ = true;
      waiting_since_ = thread_.now();
    }
    return;
  }
}

void HttpServerConnection::dispatch() {
  in_head_ = in_body_ = false;
  waiting_since_ = thread_.now();
  const bool keep_alive = parser_.keep_alive();
  HttpRequest request = parser_.take();
  request.peer_address = peer_address_;
  Slot& added = push_slot();
  added.keep_alive = keep_alive;
  added.is_head = request.method == HttpMethod::head;
  added.minor_version = request.minor_version;
  added.counted = true;
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
  in_head_ = in_body_ = false;
  Slot& added = push_slot();
  added.state = Slot::State::ready;
  added.keep_alive = false;
  added.response.status = status;
  added.response.content_type = "application/problem+json";
  added.response.body =
      thread_.shared().options.problem_body({.status = status, .code = code, .detail = detail});
  thread_.mark_dirty(*this);
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
      target.response = std::move(command.response);
      target.open = std::move(command.open);
      target.state = command.kind == ServerCommand::Kind::respond ? Slot::State::ready
                                                                  : Slot::State::streaming;
      break;
    case ServerCommand::Kind::abandon:
      target.state = Slot::State::abandoned;
      break;
    case ServerCommand::Kind::write_stream:
      if (target.state != Slot::State::streaming) return;
      target.response.body += command.response.body;
      if (unsent() + target.response.body.size() > limits_.output_bytes) return close();
      break;
    case ServerCommand::Kind::end_stream:
      if (target.state == Slot::State::streaming) target.state = Slot::State::stream_ended;
      break;
  }
  thread_.mark_dirty(*this);
}

bool HttpServerConnection::append_stream(Slot& front) {
  const BodyFraming framing = front.minor_version == 0 ? BodyFraming::to_end : BodyFraming::chunked;
  if (!front.stream_begun) {
    front.stream_begun = true;
    if (framing == BodyFraming::to_end || is_last_answer()) front.keep_alive = false;
    append_response(front.response,
                    {.date_line = thread_.date_line(),
                     .framing = framing,
                     .keep_alive = front.keep_alive,
                     .is_head = front.is_head,
                     .minor_version = front.minor_version},
                    output_);
  }
  if (!front.is_head && framing == BodyFraming::chunked) {
    append_chunk(front.response.body, output_);
  } else if (!front.is_head) {
    output_ += front.response.body;
  }
  front.response.body.clear();
  if (front.state != Slot::State::stream_ended) return false;
  if (!front.is_head && framing == BodyFraming::chunked) output_ += kLastChunk;
  return true;
}

bool HttpServerConnection::is_last_answer() const {
  return slots_ == 1 && input_begin_ == input_end_ && !in_head_ && !in_body_ &&
         thread_.shared().closing.load(std::memory_order_relaxed);
}

void HttpServerConnection::append_ready() {
  while (slots_ > 0 && !close_after_output_) {
    Slot& front = slot(0);
    switch (front.state) {
      case Slot::State::waiting:
        return;
      case Slot::State::abandoned:
        front.keep_alive = false;
        break;
      case Slot::State::ready:
        if (is_last_answer()) front.keep_alive = false;
        append_response(front.response,
                        {.date_line = thread_.date_line(),
                         .keep_alive = front.keep_alive,
                         .is_head = front.is_head,
                         .minor_version = front.minor_version},
                        output_);
        break;
      case Slot::State::streaming:
      case Slot::State::stream_ended:
        if (!append_stream(front)) return;
        break;
    }
    close_after_output_ = !front.keep_alive;
    pop_slot();
  }
}

void HttpServerConnection::flush() {
  if (phase_ != Phase::open) return;
  append_ready();
  if (input_done_ && slots_ == 0) close_after_output_ = true;
  write();
  if (phase_ != Phase::open || writing_ || close_after_output_) return;
  if (input_begin_ < input_end_ && !input_done_) process_input();
  read();
}

void HttpServerConnection::write() {
  if (writing_) return;
  if (!output_.empty()) {
    const ssize_t sent = send_now(socket_.native_handle(), output_);
    if (sent < 0) return close();
    if (static_cast<std::size_t>(sent) < output_.size()) {
      sending_.swap(output_);
      output_.clear();
      sent_ = static_cast<std::size_t>(sent);
      writing_since_ = thread_.now();
      return write_more();
    }
    clear_output(output_);
    if (slots_ == 0) waiting_since_ = thread_.now();
  }
  if (close_after_output_) linger();
}

void HttpServerConnection::write_more() {
  writing_ = true;
  socket_.async_write_some(boost::asio::buffer(sending_.data() + sent_, sending_.size() - sent_),
                           [this](const boost::system::error_code& ec, std::size_t bytes) {
                             writing_ = false;
                             on_written(static_cast<bool>(ec), bytes);
                             thread_.settle();
                           });
}

void HttpServerConnection::on_written(bool failed, std::size_t bytes) {
  if (phase_ == Phase::closed) return release_if_idle();
  if (failed) return close();
  sent_ += bytes;
  if (sent_ < sending_.size()) return write_more();
  clear_output(sending_);
  sent_ = 0;
  thread_.mark_dirty(*this);
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
  read();
}

void HttpServerConnection::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  while (slots_ > 0) pop_slot();
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
    if (now - writing_since_ > limits_.write_timeout) close();
    return;
  }
  if (!may_read()) return;
  if (in_head_ && now - waiting_since_ > limits_.head_timeout) {
    return refuse(408, problem_code(408), "The request's head did not come in time.");
  }
  if (in_body_ && now - waiting_since_ > limits_.body_timeout) {
    return refuse(408, problem_code(408), "The request's body did not come in time.");
  }
  const bool idle = !in_head_ && !in_body_ && slots_ == 0;
  if (!idle) return;
  const auto closing_since = thread_.closing_since();
  const bool over =
      closing_since ? now - std::max(*closing_since, waiting_since_) > limits_.closing_idle_timeout
                    : now - waiting_since_ > limits_.idle_timeout;
  // What has just come in is served; what comes later finds an orderly end, and not a reset.
  if (over && !has_unread_bytes(socket_.native_handle())) linger();
}

void HttpServerConnection::shut_down() {
  if (phase_ == Phase::open) {
    append_ready();
    if (!writing_ && !output_.empty()) send_now(socket_.native_handle(), output_);
  }
  close();
}

}  // namespace penstock::net
