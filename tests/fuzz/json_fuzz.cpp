// Strict JSON: the parser accepts exactly what a second reader accepts, what it read is written
// back and read again as the same, and the canonical form of a value is one.

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "net/json.h"
#include "net/json_canonical.h"
#include "net/json_decimal.h"
#include "net/json_writer.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/json_reader.h"

namespace {

namespace net = penstock::net;
using net::JsonDocument;
using net::JsonErrorCode;
using net::JsonKind;
using net::JsonView;
using penstock::fuzz::JsonVerdict;
using penstock::fuzz::judge_json;

constexpr net::JsonLimits kLimits = {.max_bytes = 4096, .max_depth = 8};

void check_number(JsonView value) {
  const std::string_view text = value.number_text();
  const auto decimal = net::parse_decimal(text);
  const auto integer = value.as_int64();
  if (!integer) return;
  FUZZ_CHECK(decimal.has_value(), "an integer is a decimal");
  const auto printed = net::parse_decimal(std::to_string(*integer));
  FUZZ_CHECK(printed && *printed == *decimal, "an integer is exactly what was written");
}

/// Walks the whole tree; the depth that it has.
std::size_t check_tree(JsonView value) {
  std::size_t deepest = 0;
  std::size_t children = 0;
  std::set<std::string_view> names;
  for (const JsonView child : value.is_object() ? value.members() : value.items()) {
    ++children;
    deepest = std::max(deepest, check_tree(child));
    if (!value.is_object()) {
      FUZZ_CHECK(child.name().empty(), "an item has no name");
      continue;
    }
    FUZZ_CHECK(names.insert(child.name()).second, "no member is named twice");
    FUZZ_CHECK(net::is_valid_utf8(child.name()), "a name is UTF-8");
    const auto found = value.find(child.name());
    FUZZ_CHECK(found && found->kind() == child.kind(), "a member is found by its name");
  }
  FUZZ_CHECK(children == value.size(), "size counts the children");
  if (const auto text = value.as_string()) FUZZ_CHECK(net::is_valid_utf8(*text), "UTF-8 stays so");
  if (value.is_number()) check_number(value);
  return value.is_object() || value.is_array() ? deepest + 1 : 0;
}

void write(JsonView value, net::JsonWriter& writer) {
  switch (value.kind()) {
    case JsonKind::null:
      writer.null();
      return;
    case JsonKind::boolean:
      writer.boolean(value.as_bool().value());
      return;
    case JsonKind::number:
      writer.raw(value.number_text());
      return;
    case JsonKind::string:
      writer.string(value.as_string().value());
      return;
    case JsonKind::array:
      writer.begin_array();
      for (const JsonView item : value.items()) write(item, writer);
      writer.end_array();
      return;
    case JsonKind::object:
      writer.begin_object();
      for (const JsonView member : value.members()) {
        writer.key(member.name());
        write(member, writer);
      }
      writer.end_object();
      return;
  }
}

bool is_same(JsonView a, JsonView b) {
  if (a.kind() != b.kind() || a.name() != b.name() || a.size() != b.size() ||
      a.as_string() != b.as_string() || a.as_bool() != b.as_bool() ||
      a.number_text() != b.number_text()) {
    return false;
  }
  auto left = (a.is_object() ? a.members() : a.items()).begin();
  for (const JsonView right : b.is_object() ? b.members() : b.items()) {
    if (!is_same(*left, right)) return false;
    ++left;
  }
  return true;
}

std::string canonical(JsonView value) {
  std::string out;
  net::canonical_json(value, out);
  return out;
}

/// Well-formed UTF-8 as UTF-16 code units, by which RFC 8785 sorts names.
std::u16string utf16_of(std::string_view text) {
  std::u16string units;
  while (!text.empty()) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::uint32_t point = size == 1 ? lead : lead & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
      point = point << 6U | (static_cast<unsigned char>(text[i]) & 0x3fU);
    }
    text.remove_prefix(size);
    if (point >= 0x10000) {
      units += static_cast<char16_t>(0xd7c0U + (point >> 10U));
      point = 0xdc00U + (point & 0x3ffU);
    }
    units += static_cast<char16_t>(point);
  }
  return units;
}

void check_sorted(JsonView value) {
  std::optional<std::u16string> before;
  for (const JsonView child : value.is_object() ? value.members() : value.items()) {
    check_sorted(child);
    if (!value.is_object()) continue;
    std::u16string name = utf16_of(child.name());
    FUZZ_CHECK(!before || *before < name, "canonical members are in UTF-16 order");
    before = std::move(name);
  }
}

void check_round_trips(const JsonDocument& document) {
  // Longer than the source where control characters were escaped in fewer bytes.
  constexpr net::JsonLimits kRoomy = {.max_bytes = 6 * kLimits.max_bytes,
                                      .max_depth = kLimits.max_depth};
  std::string written;
  net::JsonWriter writer(written);
  write(document.root(), writer);
  const auto again = JsonDocument::parse(written, kRoomy);
  FUZZ_CHECK(again.has_value(), "what is written is JSON");
  FUZZ_CHECK(is_same(document.root(), again->root()), "what is written is read as the same");

  const std::string form = canonical(document.root());
  FUZZ_CHECK(canonical(again->root()) == form, "the canonical form depends on the value alone");
  const auto reread = JsonDocument::parse(form, kRoomy);
  if (!reread && reread.error().code == JsonErrorCode::number_out_of_range) return;
  FUZZ_CHECK(reread.has_value(), "the canonical form is JSON");
  FUZZ_CHECK(canonical(reread->root()) == form, "the canonical form of it is itself");
  check_sorted(reread->root());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = JsonDocument::parse(text, kLimits);
  const JsonVerdict verdict =
      size > kLimits.max_bytes ? JsonVerdict::refused : judge_json(text, kLimits.max_depth);
  if (verdict != JsonVerdict::exponent_too_large) {
    FUZZ_CHECK(document.has_value() == (verdict == JsonVerdict::accepted),
               "two readers of JSON agree");
  }
  if (!document) {
    FUZZ_CHECK(document.error().offset <= size, "an error has its place in the text");
    FUZZ_CHECK(!net::to_string(document.error().code).empty(), "an error has a name");
    return 0;
  }
  FUZZ_CHECK(check_tree(document->root()) <= kLimits.max_depth, "depth is bounded");
  check_round_trips(*document);
  return 0;
}
