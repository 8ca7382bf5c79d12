#include "api/key_guesses.h"

#include <string>

#include <gtest/gtest.h>

namespace penstock::api {
namespace {

constexpr domain::MonotonicTime at_seconds(std::int64_t seconds) {
  return {seconds * 1'000'000'000};
}

TEST(KeyGuesses, AfterTheFreeOnesAnAddressFailsOnceASecond) {
  KeyGuesses guesses;
  for (std::int64_t count = 0; count < KeyGuesses::kFree; ++count) {
    EXPECT_FALSE(guesses.failed("a", at_seconds(100)));
  }
  EXPECT_EQ(guesses.failed("a", at_seconds(100)), domain::Duration::seconds(1));
  EXPECT_EQ(guesses.failed("a", at_seconds(100)), domain::Duration::seconds(1));
  EXPECT_FALSE(guesses.failed("a", at_seconds(101)));
  EXPECT_TRUE(guesses.failed("a", at_seconds(101)));
  EXPECT_FALSE(guesses.failed("b", at_seconds(101))) << "another address has not failed";
  for (std::int64_t count = 0; count < KeyGuesses::kFree; ++count) {
    EXPECT_FALSE(guesses.failed("a", at_seconds(200))) << "time makes failures free again";
  }
  EXPECT_TRUE(guesses.failed("a", at_seconds(200)));
}

TEST(KeyGuesses, AddressesBeyondTheBoundCountAsOneUntilOthersHaveWaited) {
  KeyGuesses guesses;
  for (std::size_t name = 0; name < KeyGuesses::kMaxAddresses; ++name) {
    EXPECT_FALSE(guesses.failed(std::to_string(name), at_seconds(100)));
  }
  for (std::int64_t count = 0; count < KeyGuesses::kFree; ++count) {
    EXPECT_FALSE(guesses.failed("new " + std::to_string(count), at_seconds(100)));
  }
  EXPECT_TRUE(guesses.failed("one more", at_seconds(100)));
  EXPECT_FALSE(guesses.failed("one more", at_seconds(101))) << "the table has room again";
}

}  // namespace
}  // namespace penstock::api
