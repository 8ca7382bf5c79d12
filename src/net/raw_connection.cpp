#include "net/raw_connection.h"

#include <array>
#include <charconv>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace penstock::net {
namespace {

constexpr long kHangGuardSeconds = 60;

}  // namespace

RawConnection::RawConnection(std::uint16_t port, const char* from)
    : descriptor_(socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval guard{.tv_sec = kHangGuardSeconds, .tv_usec = 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof(guard));
  setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &guard, sizeof(guard));
  sockaddr_in own{};
  own.sin_family = AF_INET;
  inet_pton(AF_INET, from, &own.sin_addr);
  ended_ = bind(descriptor_, reinterpret_cast<const sockaddr*>(&own), sizeof(own)) != 0;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    ended_ = true;
  }
}

RawConnection::RawConnection(RawConnection&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      buffer_(std::move(other.buffer_)),
      ended_(other.ended_) {}

RawConnection::~RawConnection() {
  if (descriptor_ >= 0) close(descriptor_);
}

bool RawConnection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawConnection::end_sending() const {
  shutdown(descriptor_, SHUT_WR);
}

bool RawConnection::receive() {
  std::array<char, 16384> chunk{};
  const ssize_t received = recv(descriptor_, chunk.data(), chunk.size(), 0);
  if (received > 0) {
    buffer_.append(chunk.data(), static_cast<std::size_t>(received));
    return true;
  }
  ended_ = received == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  return false;
}

std::string RawConnection::read_reply() {
  std::size_t head_end = std::string::npos;
  while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!receive()) return std::exchange(buffer_, {});
  }
  constexpr std::string_view kLength = "Content-Length: ";
  std::size_t length = 0;
  const std::size_t field = buffer_.find(kLength);
  if (field < head_end) {
    const char* digits = buffer_.data() + field + kLength.size();
    std::from_chars(digits, buffer_.data() + head_end, length);
  }
  const std::size_t size = head_end + 4 + length;
  while (buffer_.size() < size && receive()) {
  }
  std::string reply = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return reply;
}

std::string RawConnection::read_some(std::size_t most) {
  std::string some(most, '\0');
  const ssize_t received = recv(descriptor_, some.data(), most, 0);
  ended_ = received == 0 || (received < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
  some.resize(received > 0 ? static_cast<std::size_t>(received) : 0);
  return some;
}

std::string RawConnection::read_to_end() {
  while (receive()) {
  }
  return std::exchange(buffer_, {});
}

int status_of_reply(std::string_view reply) {
  int status = 0;
  if (!reply.starts_with("HTTP/1.1 ") || reply.size() < 12) return 0;
  std::from_chars(reply.data() + 9, reply.data() + 12, status);
  return status;
}

std::string body_of_reply(std::string_view reply) {
  const std::size_t end = reply.find("\r\n\r\n");
  return end == std::string_view::npos ? "" : std::string(reply.substr(end + 4));
}

}  // namespace penstock::net
