#include "api/key_guesses.h"

#include <algorithm>

namespace penstock::api {
namespace {

constexpr std::int64_t kNanoseconds = 1'000;
constexpr std::int64_t kEveryNs = KeyGuesses::kEvery.us * kNanoseconds;

}  // namespace

std::optional<domain::Duration> KeyGuesses::failed(const std::string& address,
                                                   domain::MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  domain::MonotonicTime& until = counted_until(address, now);
  const std::int64_t from = std::max(until.ns, now.ns);
  const std::int64_t over = from + kEveryNs - (now.ns + KeyGuesses::kFree * kEveryNs);
  // What is refused does not count: who tries on is let fail once every kEvery all the same.
  if (over > 0) return domain::Duration{(over + kNanoseconds - 1) / kNanoseconds};
  until.ns = from + kEveryNs;
  return std::nullopt;
}

domain::MonotonicTime& KeyGuesses::counted_until(const std::string& address,
                                                 domain::MonotonicTime now) {
  if (const auto found = addresses_.find(address); found != addresses_.end()) return found->second;
  if (addresses_.size() >= kMaxAddresses) {
    std::erase_if(addresses_, [now](const auto& entry) { return entry.second <= now; });
    if (addresses_.size() >= kMaxAddresses) return others_;
  }
  return addresses_[address];
}

}  // namespace penstock::api
