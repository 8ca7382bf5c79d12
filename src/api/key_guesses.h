#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "domain/instant.h"

namespace penstock::api {

/// Slows down who tries keys: counts requests with a wrong key by the peer's address. Each address
/// may fail kFree times in a row, then once every kEvery; more are refused. Only failures count and
/// only failures are refused, so that a right key works from any address at any time. Thread-safe.
/// Bounded: kMaxAddresses, about 100 bytes each; addresses beyond them count as one.
class KeyGuesses {
 public:
  static constexpr std::int64_t kFree = 10;
  static constexpr domain::Duration kEvery = domain::Duration::seconds(1);
  static constexpr std::size_t kMaxAddresses = 10'000;

  /// Notes a failure from this address. Nothing where it is among the free ones, else how long the
  /// address has to wait before a failure is free again.
  std::optional<domain::Duration> failed(const std::string& address, domain::MonotonicTime now);

 private:
  domain::MonotonicTime& counted_until(const std::string& address, domain::MonotonicTime now);

  std::mutex mutex_;
  /// When as many failures as were counted would have been spread out at one every kEvery.
  std::unordered_map<std::string, domain::MonotonicTime> addresses_;
  domain::MonotonicTime others_;
};

}  // namespace penstock::api
