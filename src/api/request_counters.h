#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace penstock::api {

/// Answered requests by route and status. Any thread; counts are relaxed, each exact by itself.
class RequestCounters {
 public:
  /// More than routes there are, the unknown one included.
  static constexpr std::size_t kMaxRoutes = 40;
  /// What this server answers; 0 stands for a connection closed without an answer, kOther for
  /// every status that is not here.
  static constexpr int kOther = -1;
  static constexpr std::array<int, 16> kStatuses{202, 200, 400, 401, 403, 404, 405, 409,
                                                 412, 413, 415, 422, 429, 503, 0,   kOther};

  /// `route` < kMaxRoutes, any status.
  void add(std::size_t route, int status);
  /// Of the position-th status.
  std::uint64_t get(std::size_t route, std::size_t position) const;

 private:
  std::array<std::array<std::atomic<std::uint64_t>, kStatuses.size()>, kMaxRoutes> counts_{};
};

}  // namespace penstock::api
