#include "cli/load_socket.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/url.h"

namespace penstock::cli {
namespace {

constexpr std::size_t kFirstBuffer = std::size_t{16} * 1024;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

/// The value of a header in a head that Penstock wrote: names have their usual spelling.
std::optional<std::string_view> header(std::string_view head, std::string_view name) {
  std::size_t const at = head.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  std::size_t const begin = at + name.size();
  return head.substr(begin, head.find('\r', begin) - begin);
}

}  // namespace

std::expected<LoadTarget, std::string> resolve_target(const std::string& url) {
  auto const parsed = net::parse_url(url);
  if (!parsed || parsed->scheme != net::UrlScheme::http) {
    return std::unexpected(fmt::format("{} is no http URL", url));
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int const failed =
      ::getaddrinfo(parsed->host.c_str(), std::to_string(parsed->port).c_str(), &hints, &found);
  if (failed != 0 || found == nullptr) {
    return std::unexpected(fmt::format("{}: {}", parsed->host, ::gai_strerror(failed)));
  }
  LoadTarget target;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  target.size = found->ai_addrlen;
  target.authority = parsed->authority();
  ::freeaddrinfo(found);
  return target;
}

LoadSocket::LoadSocket(LoadSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      renewed_(other.renewed_),
      busy_(other.busy_),
      closes_(other.closes_),
      unsent_(other.unsent_),
      received_(std::move(other.received_)),
      size_(other.size_),
      head_size_(other.head_size_),
      whole_size_(other.whole_size_),
      status_(other.status_) {}

bool LoadSocket::renewed() {
  return std::exchange(renewed_, false);
}

void LoadSocket::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  busy_ = false;
  unsent_ = {};
}

bool LoadSocket::connect(const LoadTarget& target) {
  descriptor_ = ::socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return false;
  int const on = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto* const address = reinterpret_cast<const sockaddr*>(&target.address);
  if (::connect(descriptor_, address, target.size) != 0 && errno != EINPROGRESS) {
    close();
    return false;
  }
  renewed_ = true;
  return true;
}

LoadSocket::Progress LoadSocket::start(const LoadTarget& target, std::string_view request) {
  if (descriptor_ < 0 && !connect(target)) return Progress::failed;
  if (received_.empty()) received_.resize(kFirstBuffer);
  busy_ = true;
  unsent_ = request;
  size_ = 0;
  head_size_ = 0;
  whole_size_ = 0;
  return send_rest();
}

LoadSocket::Progress LoadSocket::send_rest() {
  while (!unsent_.empty()) {
    ssize_t const sent = ::send(descriptor_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      // ENOTCONN: the connection is still being made.
      if (errno == EAGAIN || errno == ENOTCONN) return Progress::waiting;
      if (errno == EINTR) continue;
      return fail();
    }
    unsent_.remove_prefix(static_cast<std::size_t>(sent));
  }
  return Progress::waiting;
}

LoadSocket::Progress LoadSocket::fail() {
  close();
  return Progress::failed;
}

LoadSocket::Progress LoadSocket::advance(LoadAnswer& answer) {
  if (!unsent_.empty() && (send_rest() == Progress::failed || !unsent_.empty())) {
    return descriptor_ < 0 ? Progress::failed : Progress::waiting;
  }
  while (true) {
    if (size_ == received_.size()) {
      if (size_ >= kMaxLoadAnswerBytes) return fail();
      received_.resize(size_ * 2);
    }
    ssize_t const got = ::recv(descriptor_, received_.data() + size_, received_.size() - size_, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return Progress::waiting;
    if (got <= 0) return fail();
    size_ += static_cast<std::size_t>(got);
    if (!parse(answer)) continue;
    if (answer.status == 0) return fail();
    busy_ = false;
    if (closes_) close();
    return Progress::answered;
  }
}

bool LoadSocket::parse(LoadAnswer& answer) {
  std::string_view const text(received_.data(), size_);
  if (head_size_ == 0) {
    std::size_t const end = text.find(kHeadEnd);
    if (end == std::string_view::npos) return false;
    head_size_ = end + kHeadEnd.size();
    std::string_view const head = text.substr(0, head_size_);
    status_ = 0;
    std::size_t length = 0;
    auto const stated = header(head, "Content-Length: ");
    if (stated) std::from_chars(stated->data(), stated->data() + stated->size(), length);
    if (head.size() > 12) std::from_chars(head.data() + 9, head.data() + 12, status_);
    closes_ = header(head, "Connection: ") == "close";
    whole_size_ = head_size_ + length;
  }
  if (size_ < whole_size_) return false;
  answer = {.status = status_,
            .head = text.substr(0, head_size_),
            .body = text.substr(head_size_, whole_size_ - head_size_)};
  return true;
}

}  // namespace penstock::cli
