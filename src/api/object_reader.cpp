#include "api/object_reader.h"

namespace penstock::api {

void ObjectReader::complain(std::string_view name, std::string_view code) {
  if (errors_.size() >= kMaxListedFields) return;
  std::string pointer(pointer_);
  pointer += '/';
  pointer += name;
  errors_.push_back({std::move(pointer), std::string(code)});
}

std::optional<net::JsonView> ObjectReader::member(std::string_view name, Presence presence) {
  const auto found = object_.find(name);
  if (found && !found->is_null()) return found;
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

}  // namespace penstock::api
