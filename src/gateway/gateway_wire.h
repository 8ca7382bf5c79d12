#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "domain/saga.h"
#include "net/http_message.h"
#include "ports/payment_gateway.h"

/// The HTTP form of the sandbox gateway, server side: docs/gateway-protocol.md is its definition.
namespace penstock::gateway {

/// Reads a request of the protocol; `ticket` is left at 0. An error is the answer to give: 404 for
/// another path, 405 for another method, 400 for a field of a wrong form.
std::expected<ports::GatewayRequest, net::HttpResponse> read_request(
    const net::HttpRequest& request);

/// The answer that says `outcome` about `request`. Not for `unknown`, which is no answer.
net::HttpResponse answer_for(const ports::GatewayRequest& request, const domain::Outcome& outcome);

/// An error answer in Stripe's form: {"error":{"type","code","message"}}.
struct WireError {
  int status = 400;
  std::string_view type{};
  std::string_view code{};
  std::string_view message{};
};
net::HttpResponse error_answer(const WireError& error);

}  // namespace penstock::gateway
