#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "domain/ids.h"
#include "net/http_message.h"

namespace penstock::api {

/// 64 uniformly random bits. Called from any thread, concurrently.
using RandomBits = std::function<std::uint64_t()>;

/// The request's X-Correlation-Id if there is exactly one and it has the form
/// [A-Za-z0-9._-]{1,128}, else a new one of 32 hexadecimal digits.
domain::CorrelationId correlation_of(const net::HttpHeaders& headers, const RandomBits& random);

/// The request's W3C traceparent if there is exactly one and it is valid, else "". Valid as long
/// as the headers.
std::string_view traceparent_of(const net::HttpHeaders& headers);

}  // namespace penstock::api
