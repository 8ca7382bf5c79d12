#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/url.h"
#include "ports/payment_gateway.h"

namespace penstock::gateway_http {

struct HttpGatewayOptions {
  std::string url{};  ///< of the gateway, without the protocol's paths: "http://127.0.0.1:9100"
  std::chrono::milliseconds timeout{30'000};  ///< of one request, then its outcome is unknown
  std::size_t max_in_flight = 12'000;         ///< further requests are `unavailable` at once
  std::string ca_file{};                      ///< PEM of trusted authorities; empty: the system's
  /// Called, from another thread, when poll has something new to take. Must neither block nor
  /// throw; may be empty.
  std::function<void()> wake{};
};

/// The payment gateway over HTTP (docs/gateway-protocol.md). Each request in flight has a
/// connection of its own, all on one thread; raise the process's descriptor limit before. What
/// answers mean: gateway_reply.h. Nothing is retried here. Correlation id and traceparent of a
/// request are passed on as its headers. submit and poll: one thread.
class HttpGateway final : public ports::PaymentGateway {
 public:
  /// Checks the URL; connects to nobody yet.
  static std::expected<std::unique_ptr<HttpGateway>, net::UrlError> open(
      HttpGatewayOptions options);

  HttpGateway(const HttpGateway&) = delete;
  HttpGateway& operator=(const HttpGateway&) = delete;
  /// Drops what is in flight: no reply comes for it, its outcome is unknown.
  ~HttpGateway() override;

  void submit(std::span<ports::GatewayRequest> requests, domain::Now now) override;
  void poll(std::vector<ports::GatewayReply>& replies, domain::Now now) override;
  /// Nothing: replies and timeouts come through `wake`.
  std::optional<domain::Instant> next_due() const override;

 private:
  struct Impl;
  explicit HttpGateway(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::gateway_http
