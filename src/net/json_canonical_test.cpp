#include "net/json_canonical.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace penstock::net {
namespace {

std::string canonical(std::string_view text) {
  const auto document = JsonDocument::parse(text);
  EXPECT_TRUE(document.has_value()) << text;
  std::string out;
  if (document) canonical_json(document->root(), out);
  return out;
}

TEST(CanonicalJson, SortsMembersAndDropsWhiteSpace) {
  EXPECT_EQ(canonical(R"({ "b" : [ 1 , true ], "a" : { "z":null, "y":"s" } })"),
            R"({"a":{"y":"s","z":null},"b":[1,true]})");
}

TEST(CanonicalJson, SortsByUtf16CodeUnits) {
  // The example of RFC 8785 section 3.2.3: U+1F600 (a surrogate pair) sorts before U+FB33.
  EXPECT_EQ(canonical("{\"\xE2\x82\xAC\":1,\"\\r\":2,\"\xEF\xAC\xB3\":3,\"1\":4,"
                      "\"\xF0\x9F\x98\x80\":5,\"\xC2\x80\":6,\"\xC3\xB6\":7}"),
            "{\"\\r\":2,\"1\":4,\"\xC2\x80\":6,\"\xC3\xB6\":7,\"\xE2\x82\xAC\":1,"
            "\"\xF0\x9F\x98\x80\":5,\"\xEF\xAC\xB3\":3}");
}

TEST(CanonicalJson, EqualNumbersGiveOneTextAndOthersDoNot) {
  for (const std::string_view text : {"1.0", "1", "1e0", "10e-1"}) {
    EXPECT_EQ(canonical(text), "1") << text;
  }
  EXPECT_EQ(canonical("-0"), "0");
  EXPECT_EQ(canonical("0.10"), "0.1");
  EXPECT_EQ(canonical("1E+2"), "100");
  EXPECT_EQ(canonical("0.1000000000000000055511151231257827"),
            "0.1000000000000000055511151231257827");
  EXPECT_EQ(canonical("9007199254740993"), "9007199254740993");
  EXPECT_EQ(canonical("0.000001"), "0.000001");
  EXPECT_EQ(canonical("0.0000001"), "1e-7");
  EXPECT_EQ(canonical("1e21"), "1e+21");
  EXPECT_EQ(canonical("123e20"), "1.23e+22");
  EXPECT_EQ(canonical("-12.50"), "-12.5");
}

TEST(CanonicalJson, AHugeExponentStaysShort) {
  EXPECT_EQ(canonical("1e2000000000"), "1e+2000000000");
  EXPECT_EQ(canonical("1e-2000000000"), "1e-2000000000");
}

TEST(CanonicalJson, EscapesAsTheRfcDoes) {
  EXPECT_EQ(canonical(R"("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\/")"),
            "\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"");
}

TEST(CanonicalJson, TheRestOfAnObjectLeavesOutWhatIsKnownAndNull) {
  const auto document = JsonDocument::parse(R"({"k":1,"z":null,"b":[{"k":null}],"a":{"k":2}})");
  std::string out = "before";
  constexpr std::array<std::string_view, 1> kKnown{"k"};
  EXPECT_TRUE(canonical_rest(document.value().root(), kKnown, out));
  EXPECT_EQ(out, R"(before{"a":{"k":2},"b":[{"k":null}]})");
  constexpr std::array<std::string_view, 3> kAll{"k", "a", "b"};
  EXPECT_FALSE(canonical_rest(document.value().root(), kAll, out));
  EXPECT_EQ(out, R"(before{"a":{"k":2},"b":[{"k":null}]})");
}

}  // namespace
}  // namespace penstock::net
