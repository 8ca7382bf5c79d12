// The half of a connection that takes answers to the wire.
#include <cerrno>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <sys/socket.h>

#include "net/http_response_text.h"
#include "net/http_server_connection.h"

namespace penstock::net {
namespace {

/// A buffer that is kept for the next answer.
constexpr std::size_t kKeptOutputBytes = std::size_t{64} * 1024;
constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// Empties a buffer, and gives its memory back where one large answer had made it grow.
void clear_output(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptOutputBytes) std::string().swap(buffer);
}

/// What the kernel took of the bytes at once; -1 for a broken connection.
ssize_t send_now(int descriptor, std::string_view bytes) {
  const ssize_t sent = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

}  // namespace

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
  ready_bytes_ -= front.response.body.size();
  front.response.body.clear();
  if (front.state != Slot::State::stream_ended) return false;
  if (!front.is_head && framing == BodyFraming::chunked) output_ += kLastChunk;
  return true;
}

bool HttpServerConnection::is_last_answer() const {
  return slots_ == 1 && input_begin_ == input_end_ && !in_head_ && !in_body_ && !request_held_ &&
         thread_.shared().closing.load(std::memory_order_relaxed);
}

void HttpServerConnection::append_ready() {
  // What the client does not take is not copied to the wire's form either.
  while (slots_ > 0 && !close_after_output_ && unsent() < limits_.output_bytes) {
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

bool HttpServerConnection::has_ready_front() {
  if (slots_ == 0) return false;
  const Slot& front = slot(0);
  if (front.state == Slot::State::streaming) return !front.response.body.empty();
  return front.state != Slot::State::waiting;
}

void HttpServerConnection::flush() {
  if (phase_ != Phase::open) return;
  do {
    append_ready();
    if (input_done_ && slots_ == 0 && !request_held_) close_after_output_ = true;
    write();
  } while (phase_ == Phase::open && !writing_ && has_ready_front());
  count_answer_bytes();
  count_request_bytes();
  if (phase_ != Phase::open || writing_ || close_after_output_) return;
  if ((request_held_ || input_begin_ < input_end_) && !input_done_) process_input();
  read();
}

std::size_t HttpServerConnection::answer_bytes() const {
  return phase_ == Phase::closed ? 0 : unsent() + ready_bytes_;
}

void HttpServerConnection::count_answer_bytes() {
  const std::size_t held = answer_bytes();
  thread_.shared().answers.recount(
      counted_answer_bytes_, held > limits_.small_answer_bytes ? held : 0, account().answer_bytes);
}

bool HttpServerConnection::took_too_long_to_take(Clock::time_point now) const {
  const std::chrono::milliseconds for_length(sending_.size() * 1000 / limits_.write_rate);
  return now - writing_since_ > limits_.write_timeout + for_length;
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

void HttpServerConnection::shut_down() {
  if (phase_ == Phase::open) {
    append_ready();
    if (!writing_ && !output_.empty()) send_now(socket_.native_handle(), output_);
  }
  close();
}

}  // namespace penstock::net
