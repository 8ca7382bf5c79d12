#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "net/url.h"
#include "ports/fulfiller.h"

namespace penstock::webhook {

struct HttpFulfillerOptions {
  std::string url{};                          ///< of the hook; may have a query
  std::chrono::milliseconds timeout{30'000};  ///< of one request, then its outcome is unknown
  std::size_t max_in_flight = 4'096;          ///< further requests are `unavailable` at once
  std::string ca_file{};                      ///< PEM of trusted authorities; empty: the system's
  /// Called, from another thread, when poll has something new to take. Must neither block nor
  /// throw; may be empty.
  std::function<void()> wake{};
};

/// A fulfiller behind an HTTP hook of the operator's own, keyed and closable:
///
/// - fulfill: `POST <url>`, Idempotency-Key header, the order as JSON. 2xx accepted (or what a
///   "state" in its body says); 409, 422 refused; 410 the key was closed; 500 and other 5xx
///   transient; another 4xx with a JSON body that has an "error" is permanent.
/// - find: `GET <url>?key=<key>`: 200 with {"state": "accepted" | "refused" | "closed"}, or 404.
/// - close: `DELETE <url>?key=<key>`: 200 with {"state": "accepted" | "closed"}; where it answers
///   closed, every later POST under the key must be refused with 410.
///
/// 401, 403, 407, 429 and 503 are unavailable whatever is in them. A body is empty or a JSON
/// object: an answer with any other body (a proxy's page), 408, 502, 504 and redirects are unknown.
///
/// No answer is unknown, or unavailable where certainly nothing was sent; so is what cannot be
/// understood. Nothing is retried here. submit and poll: one thread.
class HttpFulfiller final : public ports::Fulfiller {
 public:
  /// Checks the URL; connects to nobody yet.
  static std::expected<std::unique_ptr<HttpFulfiller>, net::UrlError> open(
      HttpFulfillerOptions options);

  HttpFulfiller(const HttpFulfiller&) = delete;
  HttpFulfiller& operator=(const HttpFulfiller&) = delete;
  /// Drops what is in flight: no reply comes for it, its outcome is unknown.
  ~HttpFulfiller() override;

  void submit(std::span<ports::FulfillmentRequest> requests) override;
  void poll(std::vector<ports::FulfillmentReply>& replies) override;

 private:
  struct Impl;
  explicit HttpFulfiller(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::webhook
