#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>

namespace penstock::cli {

/// Where a load goes to, resolved once.
struct LoadTarget {
  sockaddr_storage address{};
  socklen_t size = 0;
  std::string authority;  ///< for the Host header
};

/// Resolves an http URL's host and port. The error is a sentence.
std::expected<LoadTarget, std::string> resolve_target(const std::string& url);

/// An answer as it lies in the socket's buffer; valid until the next call on that socket.
struct LoadAnswer {
  int status = 0;
  std::string_view head;
  std::string_view body;
};

/// An answer's head and body may be this long together.
inline constexpr std::size_t kMaxLoadAnswerBytes = std::size_t{1024} * 1024;

/// The least HTTP/1.1 client there can be: one keep-alive connection, one request at a time, raw
/// non-blocking calls, an answer scanned for its status and Content-Length and no more. It trusts
/// the server to be Penstock's. Connects when it is first used, and again after a failure.
class LoadSocket {
 public:
  enum class Progress : std::uint8_t { waiting, answered, failed };

  LoadSocket() = default;
  ~LoadSocket() { close(); }
  LoadSocket(LoadSocket&& other) noexcept;
  LoadSocket& operator=(LoadSocket&&) = delete;

  /// Sends `request`, which must stay until it is answered or has failed. `waiting` is the rule.
  Progress start(const LoadTarget& target, std::string_view request);
  /// To be called when the socket is ready; `answer` is filled where it returns answered.
  Progress advance(LoadAnswer& answer);

  /// The descriptor to wait on, -1 while not connected. A new one after a failure: see `renewed`.
  int descriptor() const { return descriptor_; }
  /// True once after each new descriptor.
  bool renewed();
  /// Whether bytes are left to send, so that it waits for room.
  bool wants_to_write() const { return !unsent_.empty(); }
  bool busy() const { return busy_; }
  void close();

 private:
  bool connect(const LoadTarget& target);
  Progress send_rest();
  Progress fail();
  bool parse(LoadAnswer& answer);

  int descriptor_ = -1;
  bool renewed_ = false;
  bool busy_ = false;
  bool closes_ = false;
  std::string_view unsent_;
  std::string received_;
  std::size_t size_ = 0;
  std::size_t head_size_ = 0;
  std::size_t whole_size_ = 0;
  int status_ = 0;
};

}  // namespace penstock::cli
