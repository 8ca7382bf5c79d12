#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "net/http_server.h"

namespace penstock::net {

/// Counts what a server had to refuse, and tells its owner when that begins and when it ends.
/// Thread-safe but for look(), which one thread calls.
class HttpServerTroubles {
 public:
  using Clock = std::chrono::steady_clock;

  explicit HttpServerTroubles(const HttpServerOptions& options)
      : notice_(options.trouble), quiet_(options.limits.trouble_quiet) {}

  /// It cost a client something.
  void meet(HttpServerTrouble trouble) {
    State& state = of(trouble);
    state.count.fetch_add(1, std::memory_order_relaxed);
    if (!state.on.exchange(true) && notice_) notice_(trouble, true);
  }

  /// Ends what was not met for `trouble_quiet`. `now` never goes back.
  void look(Clock::time_point now) {
    for (std::size_t i = 0; i < kTroubles; ++i) {
      State& state = states_[i];
      const std::uint64_t count = state.count.load(std::memory_order_relaxed);
      if (count != state.seen) {
        state.seen = count;
        state.seen_at = now;
      } else if (now - state.seen_at > quiet_ && state.on.exchange(false) && notice_) {
        notice_(static_cast<HttpServerTrouble>(i), false);
      }
    }
  }

  std::uint64_t count(HttpServerTrouble trouble) const {
    return states_[static_cast<std::size_t>(trouble)].count.load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kTroubles = 4;

  struct State {
    std::atomic<std::uint64_t> count{0};
    std::atomic<bool> on{false};
    std::uint64_t seen = 0;
    Clock::time_point seen_at;
  };
  State& of(HttpServerTrouble trouble) { return states_[static_cast<std::size_t>(trouble)]; }

  const HttpServerTroubleNotice& notice_;
  const std::chrono::milliseconds quiet_;
  std::array<State, kTroubles> states_;
};

}  // namespace penstock::net
