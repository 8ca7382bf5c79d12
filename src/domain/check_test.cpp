#include "domain/check.h"

#include <csignal>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

TEST(Check, LetsATrueConditionPassAndEvaluatesItOnce) {
  int evaluated = 0;
  PENSTOCK_CHECK(++evaluated == 1, "never printed");
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeathTest, StopsTheProcessAndSaysWhereAndWhy) {
  const int held = 1;
  EXPECT_EXIT(PENSTOCK_CHECK(held == 2, "held stock vanished"), testing::KilledBySignal(SIGABRT),
              "check_test.cpp:[0-9]+: check failed: held stock vanished \\(held == 2\\)");
}

TEST(Check, IsOneStatementInAnIfWithoutBraces) {
  bool other = false;
  if (false)
    PENSTOCK_CHECK(false, "not reached");
  else
    other = true;
  EXPECT_TRUE(other);
}

}  // namespace
}  // namespace penstock::domain
