#include "domain/retry.h"

#include <algorithm>
#include <array>

#include "domain/int128.h"

namespace penstock::domain {
namespace {

/// min(cap, base * 2^exponent) without an overflow.
std::int64_t ceiling_us(const Backoff& backoff, std::uint32_t exponent) {
  const std::int64_t base = std::max<std::int64_t>(backoff.base.us, 0);
  const std::int64_t cap = std::max<std::int64_t>(backoff.cap.us, 0);
  if (base == 0) return 0;
  if (exponent >= 63 || base > (cap >> exponent)) return cap;
  return base << exponent;
}

constexpr std::array kWebhookPauses = {Duration::seconds(0),      Duration::seconds(5),
                                       Duration::seconds(5 * 60), Duration::seconds(30 * 60),
                                       Duration::hours(2),        Duration::hours(5),
                                       Duration::hours(10),       Duration::hours(14),
                                       Duration::hours(20),       Duration::hours(24)};

}  // namespace

Duration Backoff::pause(std::uint32_t failures, std::uint64_t random) const {
  const std::int64_t ceiling = ceiling_us(*this, failures == 0 ? 0 : failures - 1);
  const auto choices = static_cast<UnsignedInt128>(ceiling) + 1;
  return Duration{static_cast<std::int64_t>((choices * random) >> 64)};
}

std::optional<Duration> webhook_pause(int attempt) {
  if (attempt < 1 || attempt > static_cast<int>(kWebhookPauses.size())) return std::nullopt;
  return kWebhookPauses[static_cast<std::size_t>(attempt - 1)];
}

}  // namespace penstock::domain
