#include "api/correlation.h"

#include <string>

#include "pipeline/ingest.h"

namespace penstock::api {
namespace {

void append_hex(std::uint64_t bits, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) {
    out += kHex[(bits >> static_cast<unsigned>(shift)) & 15U];
  }
}

}  // namespace

domain::CorrelationId correlation_of(const net::HttpHeaders& headers, const RandomBits& random) {
  if (const auto sent = headers.find("X-Correlation-Id")) {
    auto correlation = domain::CorrelationId::parse(*sent);
    if (correlation && headers.count("X-Correlation-Id") == 1) return *std::move(correlation);
  }
  std::string minted;
  minted.reserve(32);
  append_hex(random(), minted);
  append_hex(random(), minted);
  return domain::CorrelationId::unchecked(std::move(minted));
}

std::string_view traceparent_of(const net::HttpHeaders& headers) {
  const auto sent = headers.find("traceparent");
  if (!sent || !pipeline::is_valid_traceparent(*sent) || headers.count("traceparent") != 1) {
    return {};
  }
  return *sent;
}

}  // namespace penstock::api
