#include "net/json_writer.h"

#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "net/json.h"

namespace penstock::net {
namespace {

TEST(JsonWriter, SetsCommasAndNests) {
  std::string out = "data: ";
  JsonWriter writer(out);
  writer.begin_object().member("a", "x").member("b", 3).key("c").begin_array();
  writer.number(1).begin_object().end_object().begin_array().end_array().null().boolean(false);
  writer.end_array().member("d", true).key("e").raw("1.50").end_object();
  EXPECT_EQ(out, R"(data: {"a":"x","b":3,"c":[1,{},[],null,false],"d":true,"e":1.50})");
}

TEST(JsonWriter, WritesIntegersOfAnyWidthAndSign) {
  std::string out;
  JsonWriter writer(out);
  writer.begin_array()
      .number(std::numeric_limits<std::int64_t>::min())
      .number(std::numeric_limits<std::uint64_t>::max())
      .number(std::uint8_t{7})
      .number(-1)
      .end_array();
  EXPECT_EQ(out, "[-9223372036854775808,18446744073709551615,7,-1]");
}

TEST(JsonWriter, WhatItEscapesIsReadBackTheSame) {
  std::string text;
  for (int c = 0; c < 0x80; ++c) text += static_cast<char>(c);
  text += "\xE2\x82\xAC";
  std::string out;
  JsonWriter(out).begin_object().member(text, text).end_object();
  const auto document = JsonDocument::parse(out);
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->root().find(text)->as_string(), text);
  EXPECT_NE(out.find("\\u0000"), std::string::npos);
  EXPECT_NE(out.find("\\b\\t\\n\\u000b\\f\\r"), std::string::npos);
}

}  // namespace
}  // namespace penstock::net
