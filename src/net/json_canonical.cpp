#include "net/json_canonical.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "net/json_decimal.h"
#include "net/json_writer.h"

namespace penstock::net {
namespace {

/// UTF-8 byte order is code point order, which differs from UTF-16 order in one place: code
/// points above U+FFFF (lead bytes F0..F4) are surrogates there and sort before U+E000..U+FFFF
/// (lead bytes EE and EF).
bool utf16_less(std::string_view left, std::string_view right) {
  const auto [l, r] = std::mismatch(left.begin(), left.end(), right.begin(), right.end());
  if (l == left.end() || r == right.end()) return l == left.end() && r != right.end();
  const auto rank = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0xEE || byte == 0xEF) return byte + 0x100;
    return static_cast<int>(byte);
  };
  return rank(*l) < rank(*r);
}

void append_members(std::vector<JsonView>& members, std::string& out) {
  std::sort(members.begin(), members.end(),
            [](JsonView a, JsonView b) { return utf16_less(a.name(), b.name()); });
  out += '{';
  bool first = true;
  for (const JsonView member : members) {
    if (!first) out += ',';
    first = false;
    append_json_string(member.name(), out);
    out += ':';
    canonical_json(member, out);
  }
  out += '}';
}

void append_number(std::string_view text, std::string& out) {
  const std::optional<JsonDecimal> decimal = parse_decimal(text);
  if (decimal) {
    append_canonical(*decimal, out);
  } else {
    out += text;
  }
}

}  // namespace

void canonical_json(JsonView value, std::string& out) {
  switch (value.kind()) {
    case JsonKind::null:
      out += "null";
      return;
    case JsonKind::boolean:
      out += value.as_bool().value_or(false) ? "true" : "false";
      return;
    case JsonKind::number:
      append_number(value.number_text(), out);
      return;
    case JsonKind::string:
      append_json_string(value.as_string().value_or(""), out);
      return;
    case JsonKind::object: {
      std::vector<JsonView> members;
      members.reserve(value.size());
      for (const JsonView member : value.members()) members.push_back(member);
      return append_members(members, out);
    }
    case JsonKind::array:
      break;
  }
  out += '[';
  bool first = true;
  for (const JsonView item : value.items()) {
    if (!first) out += ',';
    first = false;
    canonical_json(item, out);
  }
  out += ']';
}

bool canonical_rest(JsonView object, std::span<const std::string_view> known, std::string& out) {
  std::vector<JsonView> members;
  for (const JsonView member : object.members()) {
    if (member.is_null() || std::ranges::find(known, member.name()) != known.end()) continue;
    members.push_back(member);
  }
  if (members.empty()) return false;
  append_members(members, out);
  return true;
}

}  // namespace penstock::net
