#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::net {

/// A blocking TCP connection to loopback for tests: what goes over the wire is what the test
/// writes, byte for byte. Reads give up after a generous guard, so that a test cannot hang.
class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port) : RawConnection(port, "127.0.0.1") {}
  /// Comes from that address of 127.0.0.0/8.
  RawConnection(std::uint16_t port, const char* from);
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&&) = delete;
  ~RawConnection();

  /// Writes all; false where the peer does not take it any more.
  bool send(std::string_view bytes) const;
  /// Ends this side's bytes; the other direction stays.
  void end_sending() const;
  /// One answer: head, and as much body as its Content-Length says. Cut short at the stream's end.
  std::string read_reply();
  /// Some bytes of the stream, at most `most`; empty at its end.
  std::string read_some(std::size_t most);
  /// Everything up to the stream's end (or a reset, or the guard).
  std::string read_to_end();
  /// Whether the stream has ended: the guard's passing is not an end.
  bool ended() const { return ended_; }

 private:
  bool receive();

  int descriptor_;
  std::string buffer_;
  bool ended_ = false;
};

/// The status of an answer's text; 0 where it is none.
int status_of_reply(std::string_view reply);
/// What follows the head.
std::string body_of_reply(std::string_view reply);

}  // namespace penstock::net
