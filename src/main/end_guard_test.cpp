#include "main/end_guard.h"

#include <chrono>
#include <initializer_list>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>

namespace penstock::main {
namespace {

class SilentLog final : public ports::Log {
 public:
  bool enabled(ports::LogLevel) const override { return true; }
  void write(ports::LogLevel, std::string_view, std::initializer_list<ports::LogField>) override {}
};

TEST(EndGuardDeathTest, a_process_that_does_not_end_is_ended_with_one) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        SilentLog log;
        EndGuard guard(log);
        guard.begin(std::chrono::seconds(0));
        while (true) std::this_thread::sleep_for(std::chrono::hours(1));
      },
      testing::ExitedWithCode(1), "");
}

TEST(EndGuard, does_nothing_to_a_process_that_ends_in_time) {
  SilentLog log;
  {
    EndGuard guard(log);
    guard.begin(std::chrono::hours(1));
  }
  EndGuard const never_begun(log);
}

}  // namespace
}  // namespace penstock::main
