#include "api/open_mode_guard.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "api/submission.h"

namespace penstock::api {
namespace {

/// What of a header may stand in a problem.
constexpr std::size_t kShownBytes = 100;

/// "host:port" or "[v6]:port" without the port, which must be digits.
std::string_view without_port(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.ends_with(']')) return authority;
  const std::string_view port = authority.substr(colon + 1);
  const bool digits = std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  return digits ? authority.substr(0, colon) : authority;
}

bool is_local(std::string_view authority) {
  const std::string_view host = without_port(authority);
  if (host == "127.0.0.1" || net::equals_ignoring_case(host, "localhost") || host == "[::1]") {
    return true;
  }
  in_addr address{};
  // Four decimal numbers and nothing else: "127.1" and "127.0.0.1.example" are no addresses.
  return ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 &&
         (ntohl(address.s_addr) >> 24U) == 127;
}

bool is_local_origin(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) return is_local(origin.substr(scheme.size()));
  }
  return false;
}

bool is_foreign_fetch(std::string_view site) {
  return site != "same-origin" && site != "none";
}

Problem refusal(std::string_view header, std::string_view value) {
  return forbidden(
      fmt::format("{}: {} is not of this machine. Without an admin key the server answers local "
                  "programs only; set PENSTOCK_ADMIN_KEY to serve others.",
                  header, value.substr(0, kShownBytes)));
}

}  // namespace

std::optional<Problem> refuse_web_page(const net::HttpRequest& request) {
  for (std::size_t i = 0; i < request.headers.size(); ++i) {
    const std::string_view name = request.headers.name(i);
    const std::string_view value = request.headers.value(i);
    if (net::equals_ignoring_case(name, "Host") && !is_local(value)) return refusal("Host", value);
    if (net::equals_ignoring_case(name, "Origin") && !is_local_origin(value)) {
      return refusal("Origin", value);
    }
    if (net::equals_ignoring_case(name, "Sec-Fetch-Site") && is_foreign_fetch(value)) {
      return refusal("Sec-Fetch-Site", value);
    }
  }
  return std::nullopt;
}

}  // namespace penstock::api
