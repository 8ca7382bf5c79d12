#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "adapters/postgres/connection.h"
#include "domain/instant.h"

namespace penstock::postgres_store {

/// Stages by the bits of their numbers.
using StageBits = std::uint32_t;

struct WakeUpOptions {
  ConnectionOptions connection;
  /// Of those that this process announces: which others may be told of.
  StageBits announced = 0;
  /// What of others' news wakes this process.
  StageBits wanted = 0;
  /// Called from a thread of its own where something that is wanted was announced.
  std::function<void()> wake;
  /// News of one process go out at most this often.
  domain::Duration least_pause = domain::Duration::milliseconds(20);
  /// After a failed connection none is tried for this long.
  domain::Duration reconnect_pause = domain::Duration::seconds(1);
};

/// Tells the other processes on a database that there is work, and hears of theirs: LISTEN and
/// NOTIFY on a connection and a thread of their own, outside every transaction of orders, since a
/// NOTIFY makes commits wait for each other. Only a wake-up: one that is lost costs a poll's pause.
class WakeUps {
 public:
  explicit WakeUps(WakeUpOptions options);
  ~WakeUps();
  WakeUps(const WakeUps&) = delete;
  WakeUps& operator=(const WakeUps&) = delete;

  /// There is work for these stages. Any thread; cheap. What comes within the pause goes out
  /// together, behind it.
  void announce(StageBits stages);

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  /// Opens the connection and listens, at its time; false without one.
  bool connected();
  void hear();
  void tell();
  /// Until something can be read, something is announced, or the time of the next act.
  void sleep();
  std::chrono::milliseconds patience() const;

  WakeUpOptions options_;
  int bell_ = -1;  ///< an eventfd: announced, or to be ended
  std::atomic<StageBits> waiting_{0};
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Connection> connection_;
  Clock::time_point next_try_;
  Clock::time_point told_at_;
  std::thread thread_;  ///< last, so that it starts when all else is there
};

}  // namespace penstock::postgres_store
