#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_message.h"

namespace penstock::net {

/// Why there is no answer. delivery() tells what that means for the request.
enum class HttpClientError : std::uint8_t {
  invalid_request,         ///< the URL or a header is malformed
  unresolved,              ///< the host has no address
  address_refused,         ///< HttpClientOptions::allow_address refused every address
  connect_failed,          ///< refused, unreachable, or broken before a byte was taken
  connect_timeout,         ///< no connection in time
  tls_failed,              ///< no handshake, or the certificate is not trusted or another host's
  overloaded,              ///< HttpClientOptions::max_queued was reached
  stopped_before_sending,  ///< the client was stopped
  timeout,                 ///< sent, at least in part, and not answered in time
  connection_lost,         ///< sent, at least in part, and closed without a whole answer
  malformed_response,      ///< answered with what is not HTTP
  response_too_large,      ///< the answer passes the limits
  stopped,                 ///< the client was stopped while waiting for the answer
};
std::string_view to_string(HttpClientError error);
/// For people: "connection refused or host unreachable".
std::string_view in_words(HttpClientError error);

/// What may be known about a request without an answer.
enum class Delivery : std::uint8_t {
  not_sent,  ///< no byte of it has left: it has certainly had no effect
  unknown,   ///< it may have been carried out
};
Delivery delivery(HttpClientError error);

/// What an answer's body is to whoever asked.
enum class ReplyBody : std::uint8_t {
  needed,    ///< too large, malformed or cut off, it is an error
  optional,  ///< the status is the answer: a body like that, or a late one, is cut short instead
};

struct HttpClientRequest {
  /// Absolute, http or https (see parse_url).
  std::string url{};
  HttpMethod method = HttpMethod::get;
  /// Host, Content-Length, Transfer-Encoding and Connection are the client's to write.
  std::vector<HttpHeader> headers{};
  std::string body{};
  /// From send() to the whole answer.
  std::chrono::milliseconds timeout{30'000};
  ReplyBody reply_body = ReplyBody::needed;
};

using HttpClientResult = std::expected<HttpReply, HttpClientError>;
using HttpClientCallback = std::function<void(HttpClientResult)>;

struct HttpClientOptions {
  std::size_t threads = 1;
  /// Open at one time, all origins together.
  std::size_t max_connections = 12'000;
  /// Requests waiting for a connection; beyond, they are refused as overloaded.
  std::size_t max_queued = 100'000;
  std::size_t reply_head_bytes = std::size_t{32} * 1024;
  std::size_t reply_body_bytes = std::size_t{1024} * 1024;
  std::chrono::milliseconds connect_timeout{5'000};
  /// An unused connection is kept this long.
  std::chrono::milliseconds idle_timeout{30'000};
  /// How long a resolved address is used again.
  std::chrono::milliseconds resolve_ttl{5'000};
  /// More origins than this are forgotten at the next sweep, but for those in use: what is lost is
  /// the addresses that their names resolved to.
  std::size_t max_unused_origins = 1'024;
  /// Timeouts are kept by one sweep a thread, so they are met to within two of these.
  std::chrono::milliseconds sweep_interval{20};
  std::string user_agent = "penstock";
  /// PEM file of trusted authorities; empty: the system's.
  std::string ca_file{};
  /// Asked, for each address about to be connected to (4 or 16 bytes, network order, after name
  /// resolution, so that no name can lead around it); unset: any. Called on the client's threads.
  std::function<bool(std::span<const std::uint8_t> address)> allow_address{};
};

/// Every wait ends: a connection with its handshake within connect_timeout, and all of it, from
/// send() to the last byte of the answer, within the request's timeout, however a peer drips.
///
/// An asynchronous HTTP/1.1 client: keep-alive pool per origin, one request a connection at a
/// time, thousands in flight on one thread. No redirects, no cookies, no retries, but one: where
/// a pooled connection turns out to be broken before the kernel took a byte, the request moves to
/// a new one. All methods are thread-safe.
class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  /// Stops.
  ~HttpClient();

  /// Sends; `callback` gets the result, once, on one of the client's threads (or on the caller's,
  /// where the request is refused at once). It must neither block nor throw.
  void send(const HttpClientRequest& request, HttpClientCallback callback);
  /// Sends and waits. Not to be called from a callback.
  HttpClientResult call(const HttpClientRequest& request);
  /// Fails what is not answered yet and ends the threads. Repeated calls do nothing. Waits for
  /// no peer, and for no name resolution.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::net
