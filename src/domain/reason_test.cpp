#include "domain/reason.h"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

constexpr std::uint8_t kCount = static_cast<std::uint8_t>(Reason::end_noted) + 1;

TEST(Reason, TextsAndNumbersAreReadBackAndEachIsOne) {
  std::set<std::string_view> texts;
  for (std::uint8_t number = 1; number < kCount; ++number) {
    const auto reason = reason_from(number);
    ASSERT_TRUE(reason);
    EXPECT_EQ(static_cast<std::uint8_t>(*reason), number);
    EXPECT_EQ(parse_reason(to_string(*reason)), *reason);
    EXPECT_TRUE(texts.insert(to_string(*reason)).second) << to_string(*reason);
    EXPECT_FALSE(meaning_of(*reason).empty());
  }
}

TEST(Reason, StoredNumbersStayWhatTheyWere) {
  EXPECT_EQ(reason_from(0), Reason::none);
  EXPECT_EQ(reason_from(7), Reason::payment_declined);
  EXPECT_EQ(reason_from(18), Reason::dead_lettered);
  EXPECT_EQ(reason_from(22), Reason::interrupted);
  EXPECT_EQ(reason_from(28), Reason::endpoint_gone);
  EXPECT_EQ(reason_from(29), Reason::charge_key_closed);
  EXPECT_EQ(reason_from(30), Reason::end_noted);
}

TEST(Reason, NoneHasNoTextAndWhatIsNotListedIsNoReason) {
  EXPECT_EQ(to_string(Reason::none), "");
  EXPECT_FALSE(parse_reason(""));
  EXPECT_FALSE(parse_reason("payment_declined"));
  EXPECT_FALSE(reason_from(kCount));
  EXPECT_FALSE(reason_from(255));
}

}  // namespace
}  // namespace penstock::domain
