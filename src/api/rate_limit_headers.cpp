#include "api/rate_limit_headers.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "domain/int128.h"

namespace penstock::api {
namespace {

/// Seconds in which `burst` tokens flow in, rounded up.
std::int64_t window_seconds(const domain::BucketContract& contract) {
  constexpr domain::Int128 kNanosecondsPerSecond = 1'000'000'000;
  const domain::Int128 need =
      domain::Int128{contract.burst} * domain::kMicroTokensPerToken * contract.rate.period_ns;
  const domain::Int128 per_second =
      domain::Int128{contract.rate.micro_tokens} * kNanosecondsPerSecond;
  const domain::Int128 seconds = (need + per_second - 1) / per_second;
  constexpr auto kLargest = std::numeric_limits<std::int64_t>::max();
  return seconds > kLargest ? kLargest : static_cast<std::int64_t>(seconds);
}

}  // namespace

std::int64_t whole_seconds_up(domain::Duration span) {
  constexpr std::int64_t kSecond = 1'000'000;
  if (span.us <= 0) return 0;
  return span.us / kSecond + (span.us % kSecond > 0 ? 1 : 0);
}

void append_rate_limit_lines(const domain::BucketContract& contract, const domain::TakeResult& take,
                             std::string& out) {
  if (contract.rate.micro_tokens <= 0) return;
  out += "RateLimit-Policy: \"tenant\";q=";
  const auto append = [&out](std::int64_t number) {
    const fmt::format_int text(number);
    out.append(text.data(), text.size());
  };
  append(contract.burst);
  out += ";w=";
  append(window_seconds(contract));
  out += "\r\nRateLimit: \"tenant\";r=";
  append(take.remaining);
  out += ";t=";
  append(whole_seconds_up(take.full_in));
  out += "\r\n";
}

}  // namespace penstock::api
