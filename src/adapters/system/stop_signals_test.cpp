#include "adapters/system/stop_signals.h"

#include <csignal>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace penstock::system {
namespace {

TEST(StopSignals, a_signal_ends_the_wait) {
  StopSignals signals;
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(signals.wait(), StopCause::signal);
  ::kill(::getpid(), SIGINT);
  EXPECT_EQ(signals.wait(), StopCause::signal);
  ::kill(::getpid(), SIGHUP);
  EXPECT_EQ(signals.wait(), StopCause::signal);
}

TEST(StopSignals, what_nohup_ignores_stays_ignored) {
  pid_t const child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGHUP, SIG_IGN);
    StopSignals signals;
    ::kill(::getpid(), SIGHUP);
    bool const ignored = signals.wait(std::chrono::milliseconds(1)) == StopCause::timeout;
    signals.exit_on_next();
    ::kill(::getpid(), SIGHUP);
    ::_exit(ignored ? 7 : 8);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(StopSignals, a_notification_of_another_thread_ends_the_wait) {
  StopSignals signals;
  std::thread other([&signals] { signals.notify(); });
  EXPECT_EQ(signals.wait(), StopCause::notified);
  other.join();
}

TEST(StopSignals, the_wait_ends_at_its_time) {
  StopSignals signals;
  EXPECT_EQ(signals.wait(std::chrono::milliseconds(1)), StopCause::timeout);
}

TEST(StopSignals, a_signal_comes_before_a_notification) {
  StopSignals signals;
  signals.notify();
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(signals.wait(), StopCause::signal);
  EXPECT_EQ(signals.wait(), StopCause::notified);
}

TEST(StopSignals, after_exit_on_next_a_signal_ends_the_process_with_zero) {
  pid_t const child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    StopSignals signals;
    signals.exit_on_next();
    ::kill(::getpid(), SIGTERM);
    ::_exit(7);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace penstock::system
