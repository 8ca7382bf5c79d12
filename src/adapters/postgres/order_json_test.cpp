#include "adapters/postgres/order_json.h"

#include <string>

#include <gtest/gtest.h>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/order_codec.h"
#include "tests/contract/order_builder.h"

namespace penstock::postgres_store {
namespace {

TEST(OrderJson, MetadataComesBackByteForByte) {
  Metadata metadata{{"empty", ""},
                    {"quotes", "\"\\\n\x01\x1f\x7f"},
                    {"umlauts", "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80 \xe2\x82\xac"},
                    {"zero", std::string("a\0b", 3)},
                    {"no utf-8", "\xff\xfe"},
                    {"cut off", "\xe2\x82"},
                    {"overlong", "\xc0\x80"},
                    {"surrogate", "\xed\xa0\x80"},
                    {"too large", "\xf4\x90\x80\x80"}};
  const auto parsed = parse_metadata(metadata_json(metadata));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(*parsed, metadata);
}

TEST(OrderJson, OnlyWhatTextCannotCarryIsHexadecimal) {
  EXPECT_EQ(metadata_json({{"k", "v\xc3\xbc"}}), "[[\"k\",\"v\xc3\xbc\"]]");
  EXPECT_EQ(metadata_json({{"k", std::string(1, '\0')}}), R"([["k",{"hex":"00"}]])");
}

TEST(OrderJson, EventsOfOtherVersionsAreLeftOut) {
  const domain::Order order = store_contract::OrderBuilder(1).placed({1'000'000});
  EXPECT_EQ(events_json(order.timeline, {1}), "[]");
  const auto events = parse_events(events_json(order.timeline, {0}));
  ASSERT_TRUE(events.has_value());
  EXPECT_EQ(*events, order.timeline);
}

TEST(OrderJson, AnotherFormIsRefused) {
  for (const char* text : {"", "{}", "[1]", "[[1,2]]", "[[\"p\",1]]", "[[\"p\",\"1\",2]]"}) {
    EXPECT_FALSE(parse_items(text).has_value()) << text;
  }
  for (const char* text :
       {"[[\"a\"]]", "[[\"a\",1]]", "[[\"a\",{\"hex\":\"0\"}]]", "[[\"a\",{\"hex\":\"zz\"}]]"}) {
    EXPECT_FALSE(parse_metadata(text).has_value()) << text;
  }
  for (const char* text : {"[[1,2,3]]", "[[1,2,null,1,1,200,0]]", "[[null,2,null,1,1,1,0]]"}) {
    EXPECT_FALSE(parse_events(text).has_value()) << text;
  }
}

TEST(Binary, ArraysComeBackWithTheirNulls) {
  ArrayWriter out(type_id::kInt4);
  out.add(to_binary(std::int32_t{-7}));
  out.add_null();
  const std::string bytes = out.bytes();
  const auto elements = array_from(bytes);
  ASSERT_TRUE(elements.has_value());
  ASSERT_EQ(elements->size(), 2U);
  EXPECT_EQ(integer_from(*(*elements)[0]), -7);
  EXPECT_FALSE((*elements)[1].has_value());
  EXPECT_TRUE(array_from(ArrayWriter(type_id::kInt4).bytes())->empty());
}

TEST(Binary, CutOffValuesAreRefused) {
  ArrayWriter out(type_id::kText);
  out.add("some text");
  const std::string bytes = out.bytes();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(array_from(std::string_view(bytes).substr(0, length)).has_value()) << length;
  }
  const std::string facts = encode_facts(store_contract::OrderBuilder(1).placed({1'000'000}));
  for (std::size_t length = 0; length < facts.size(); ++length) {
    EXPECT_FALSE(composite_from(std::string_view(facts).substr(0, length)).has_value()) << length;
  }
}

}  // namespace
}  // namespace penstock::postgres_store
