#include "net/json.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/json_decimal.h"

namespace penstock::net {
namespace {

JsonErrorCode code_of(std::string_view text, const JsonLimits& limits = {}) {
  const auto document = JsonDocument::parse(text, limits);
  EXPECT_FALSE(document.has_value()) << text;
  return document ? JsonErrorCode::syntax : document.error().code;
}

TEST(Json, ReadsAnOrderAndKeepsMembersInInputOrder) {
  const auto document = JsonDocument::parse(
      R"({"tenant_id":"default","items":[{"price":10.50,"quantity":2},{"price":"3"}],"x":null})");
  ASSERT_TRUE(document.has_value());
  const JsonView root = document->root();
  ASSERT_TRUE(root.is_object());
  EXPECT_EQ(root.size(), 3U);
  std::vector<std::string> names;
  for (const JsonView member : root.members()) names.emplace_back(member.name());
  EXPECT_EQ(names, (std::vector<std::string>{"tenant_id", "items", "x"}));
  EXPECT_EQ(root.find("tenant_id")->as_string(), "default");
  const JsonView items = *root.find("items");
  ASSERT_EQ(items.size(), 2U);
  const JsonView first = *items.items().begin();
  EXPECT_EQ(first.find("price")->number_text(), "10.50");
  EXPECT_EQ(first.find("quantity")->as_int64(), 2);
  EXPECT_EQ((*++items.items().begin()).find("price")->as_string(), "3");
  EXPECT_TRUE(root.find("x")->is_null());
  EXPECT_FALSE(root.find("y").has_value());
}

TEST(Json, KeepsANumberExactlyAsItWasWritten) {
  for (const std::string text :
       {"0", "-0", "0.1", "1e400", "-1E-400", "1.50", "123456789012345678901234567890",
        "0.1000000000000000055511151231257827", "1e+9", "18446744073709551615", "-1", "12e3"}) {
    const auto document = JsonDocument::parse("[" + text + "," + text + "]");
    ASSERT_TRUE(document.has_value()) << text;
    for (const JsonView item : document->root().items()) EXPECT_EQ(item.number_text(), text);
    const auto alone = JsonDocument::parse(text);
    ASSERT_TRUE(alone.has_value()) << text;
    EXPECT_EQ(alone->root().number_text(), text);
  }
}

TEST(Json, RefusesWhatIsNoNumber) {
  for (const std::string text : {"01", "1.", ".5", "+1", "1e", "--1", "0x1", "NaN", "Infinity"}) {
    const auto document = JsonDocument::parse("[" + text + "]");
    EXPECT_FALSE(document.has_value()) << text;
  }
  EXPECT_EQ(code_of("1e99999999999"), JsonErrorCode::number_out_of_range);
}

TEST(Json, RefusesDuplicateMembersAnywhereAndSaysWhere) {
  const auto document = JsonDocument::parse(R"({"a":[1,{"b/c":{"d":1,"e":2,"d":3}}]})");
  ASSERT_FALSE(document.has_value());
  EXPECT_EQ(document.error().code, JsonErrorCode::duplicate_member);
  EXPECT_EQ(document.error().pointer, "/a/1/b~1c/d");
  EXPECT_EQ(code_of(R"({"a":1,"\u0061":2})"), JsonErrorCode::duplicate_member);
  EXPECT_TRUE(JsonDocument::parse(R"([{"a":1},{"a":1}])").has_value());
}

TEST(Json, FindsADuplicateAmongManyMembers) {
  std::string text = "{";
  for (int i = 0; i < 2000; ++i) text += "\"member" + std::to_string(i) + "\":1,";
  EXPECT_TRUE(JsonDocument::parse(text + "\"last\":1}").has_value());
  EXPECT_EQ(code_of(text + "\"member7\":1}"), JsonErrorCode::duplicate_member);
  EXPECT_EQ(code_of(text + "\"member1999\":1}"), JsonErrorCode::duplicate_member);
}

TEST(Json, BoundsDepthAndSize) {
  const std::string sixteen = std::string(16, '[') + std::string(16, ']');
  EXPECT_TRUE(JsonDocument::parse(sixteen).has_value());
  EXPECT_EQ(code_of("[" + sixteen + "]"), JsonErrorCode::too_deep);
  EXPECT_EQ(code_of(std::string(100'000, '[')), JsonErrorCode::too_deep);
  EXPECT_EQ(code_of("[1,2]", {.max_bytes = 4}), JsonErrorCode::too_large);
}

TEST(Json, RefusesWhatFollowsTheDocument) {
  EXPECT_EQ(code_of("{} x"), JsonErrorCode::trailing_data);
  EXPECT_EQ(code_of("{}{}"), JsonErrorCode::trailing_data);
  EXPECT_TRUE(JsonDocument::parse(" {} \r\n").has_value());
}

TEST(Json, RefusesWhatOnlyLenientReadersTake) {
  for (const std::string_view text :
       {"", " ", "{", "[1,]", "{\"a\":1,}", "{a:1}", "'a'", "// c\n1", "[1 2]", "{\"a\" 1}", "tru",
        "\"a\nb\"", "\"\\x41\"", "\xEF\xBB\xBF{}", "\"abc", "[\"\\u00\"]"}) {
    EXPECT_FALSE(JsonDocument::parse(text).has_value()) << text;
  }
  EXPECT_FALSE(JsonDocument::parse(std::string("\"a\0b\"", 5)).has_value());
}

TEST(Json, DecodesEscapesAndRefusesLoneSurrogates) {
  const auto document = JsonDocument::parse(R"(["\ud83d\ude00\n\u0041\/","plain",""])");
  ASSERT_TRUE(document.has_value());
  auto item = document->root().items().begin();
  EXPECT_EQ((*item).as_string(), "\xF0\x9F\x98\x80\nA/");
  EXPECT_EQ((*++item).as_string(), "plain");
  EXPECT_EQ((*++item).as_string(), "");
  for (const std::string_view text :
       {R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", R"("\ud83d\n")", R"("\ud83d\u0041")"}) {
    EXPECT_EQ(code_of(text), JsonErrorCode::lone_surrogate) << text;
  }
}

TEST(Json, DecodesEscapedNamesAndLongEscapedStrings) {
  std::string text = "{\"na\\u006de\":\"";
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    text += "ab\\n";
    expected += "ab\n";
  }
  const auto document = JsonDocument::parse(text + "\"}");
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->root().find("name")->as_string(), expected);
}

TEST(Json, RefusesMalformedUtf8) {
  for (const std::string_view bytes : {"\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\x80",
                                       "\xE2\x82", "\xF0\x8F\xBF\xBF", "\xFF"}) {
    EXPECT_EQ(code_of("\"12345678" + std::string(bytes) + "\""), JsonErrorCode::invalid_utf8);
  }
  EXPECT_TRUE(JsonDocument::parse("\"\xE2\x82\xAC \xF4\x8F\xBF\xBF \xED\x9F\xBF\"").has_value());
}

TEST(Json, ViewsOutliveTheSourceAndTheDocumentsMove) {
  std::string source = R"({"a":"value","b":12345})";
  auto parsed = JsonDocument::parse(source);
  ASSERT_TRUE(parsed.has_value());
  const JsonView before = parsed->root();
  source.assign(source.size(), 'x');
  const JsonDocument moved = std::move(*parsed);
  EXPECT_EQ(before.find("a")->as_string(), "value");
  EXPECT_EQ(moved.root().find("b")->number_text(), "12345");
}

TEST(Json, AnAccessorOfAnotherKindGivesNothing) {
  const auto document = JsonDocument::parse("[true]");
  const JsonView item = *document->root().items().begin();
  EXPECT_EQ(item.as_bool(), true);
  EXPECT_FALSE(item.as_string().has_value());
  EXPECT_EQ(item.number_text(), "");
  EXPECT_FALSE(item.as_int64().has_value());
  EXPECT_TRUE(item.items().empty());
  EXPECT_TRUE(item.members().empty());
}

TEST(JsonInteger, ReadsIntegralFormsExactly) {
  EXPECT_EQ(as_int64("0"), 0);
  EXPECT_EQ(as_int64("-0"), 0);
  EXPECT_EQ(as_int64("2.0"), 2);
  EXPECT_EQ(as_int64("2e0"), 2);
  EXPECT_EQ(as_int64("20e-1"), 2);
  EXPECT_EQ(as_int64("-1.5e1"), -15);
  EXPECT_EQ(as_int64("0e999999"), 0);
  EXPECT_EQ(as_int64("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(as_int64("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(as_int64("9223372036854775807.000"), std::numeric_limits<std::int64_t>::max());
}

TEST(JsonInteger, RefusesFractionsOverflowsAndOtherText) {
  for (const std::string_view text :
       {"0.5", "2e-1", "9223372036854775808", "-9223372036854775809", "1e19", "1e400",
        "1e999999999", "", "-", "+1", "01", "-01", "1x", " 1", "1e", "1e999999999999999999"}) {
    EXPECT_FALSE(as_int64(text).has_value()) << text;
  }
}

TEST(JsonDecimal, EqualNumbersHaveOneForm) {
  for (const std::string_view text : {"1", "1.0", "1e0", "10e-1", "0.1e1", "1.000E+0"}) {
    EXPECT_EQ(parse_decimal(text), (JsonDecimal{.digits = "1"})) << text;
  }
  EXPECT_EQ(parse_decimal("-0.00e5"), JsonDecimal{});
  EXPECT_EQ(parse_decimal("-12300"),
            (JsonDecimal{.negative = true, .digits = "123", .exponent = 2}));
}

}  // namespace
}  // namespace penstock::net
