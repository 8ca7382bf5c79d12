#include "api/object_reader.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace penstock::api {
namespace {

/// An unknown name is repeated up to this length.
constexpr std::size_t kMaxRepeatedName = 64;

/// How many characters have to be added, removed or replaced (Levenshtein).
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string expected_names(std::string_view name, std::initializer_list<std::string_view> known) {
  if (known.size() == 0) return "This body has no members.";
  std::string text = "Known members are";
  char separator = ' ';
  for (const std::string_view each : known) {
    text += separator;
    if (separator == ',') text += ' ';
    text += each;
    separator = ',';
  }
  text += '.';
  if (const auto close = closest_name(name, known); !close.empty()) {
    text += " Did you mean ";
    text += close;
    text += '?';
  }
  return text;
}

/// A name as a token of a JSON pointer (RFC 6901, section 3).
void append_token(std::string_view name, std::string& pointer) {
  for (const char character : name) {
    if (character == '~') {
      pointer += "~0";
    } else if (character == '/') {
      pointer += "~1";
    } else {
      pointer += character;
    }
  }
}

}  // namespace

std::string_view closest_name(std::string_view name,
                              std::initializer_list<std::string_view> known) {
  std::string_view best;
  std::size_t least =
      name.size() > kMaxRepeatedName ? 0 : std::max<std::size_t>(name.size() / 3, 2);
  for (const std::string_view each : known) {
    const std::size_t found = least == 0 ? 1 : distance(name, each);
    if (found > least || (found == least && !best.empty())) continue;
    best = each;
    least = found;
  }
  return best;
}

ObjectReader::ObjectReader(net::JsonView object, std::string_view pointer,
                           std::vector<FieldProblem>& errors,
                           std::initializer_list<std::string_view> known)
    : ObjectReader(object, pointer, errors) {
  strict_ = true;
  for (const net::JsonView member : object.members()) {
    if (std::ranges::find(known, member.name()) != known.end()) continue;
    const bool is_long = member.name().size() > kMaxRepeatedName;
    complain(is_long ? "" : member.name(), "unknown-member", expected_names(member.name(), known));
  }
}

void ObjectReader::complain(std::string_view name, std::string_view code, std::string detail) {
  if (errors_.size() >= kMaxListedFields) return;
  std::string pointer(pointer_);
  pointer += '/';
  append_token(name, pointer);
  errors_.push_back({std::move(pointer), std::string(code), std::move(detail)});
}

bool ObjectReader::removes(std::string_view name) const {
  const auto found = object_.find(name);
  return found && found->is_null();
}

std::optional<net::JsonView> ObjectReader::member(std::string_view name, Presence presence) {
  const auto found = object_.find(name);
  if (found && found->is_null() && strict_) {
    complain(name, "null", "null has no meaning here: give a value, or leave the member out.");
    return std::nullopt;
  }
  if (found && !found->is_null()) {
    const auto text = found->as_string();
    const bool empty =
        text ? text->empty() : (found->is_array() || found->is_object()) && found->size() == 0;
    if (!strict_ || !empty) return found;
    complain(name, "empty", "An empty value has no meaning here: leave the member out.");
    return std::nullopt;
  }
  if (presence == Presence::required) complain(name, "required");
  return std::nullopt;
}

std::optional<std::string_view> ObjectReader::string(std::string_view name, Presence presence) {
  const auto value = member(name, presence);
  if (!value) return std::nullopt;
  const auto text = value->as_string();
  if (!text) complain(name, "wrong-type");
  return text;
}

std::optional<std::int64_t> ObjectReader::integer(std::string_view name, Presence presence) {
  const auto value = member(name, presence);
  if (!value) return std::nullopt;
  const auto number = value->as_int64();
  if (!number) complain(name, value->is_number() ? "not-an-integer" : "wrong-type");
  return number;
}

std::optional<std::string_view> ObjectReader::decimal(std::string_view name, Presence presence) {
  const auto value = member(name, presence);
  if (!value) return std::nullopt;
  if (value->is_number()) return value->number_text();
  const auto text = value->as_string();
  if (!text) complain(name, "wrong-type");
  return text;
}

std::optional<net::JsonView> ObjectReader::object(std::string_view name, Presence presence) {
  const auto value = member(name, presence);
  if (!value || value->is_object()) return value;
  complain(name, "wrong-type");
  return std::nullopt;
}

std::optional<net::JsonView> ObjectReader::array(std::string_view name, Presence presence) {
  const auto value = member(name, presence);
  if (!value || value->is_array()) return value;
  complain(name, "wrong-type");
  return std::nullopt;
}

std::optional<bool> ObjectReader::boolean(std::string_view name, Presence presence) {
  const auto value = member(name, presence);
  if (!value) return std::nullopt;
  const auto truth = value->as_bool();
  if (!truth) complain(name, "wrong-type", "Expected true or false.");
  return truth;
}

}  // namespace penstock::api
