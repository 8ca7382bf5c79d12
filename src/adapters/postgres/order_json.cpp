#include "adapters/postgres/order_json.h"

#include <charconv>
#include <cstdint>
#include <iterator>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace penstock::postgres_store {
namespace {

namespace json = boost::json;

/// Whether PostgreSQL takes `text` as a string: UTF-8 without a zero byte.
bool is_text(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<std::uint8_t>(text[at]);
    const std::size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : 4;
    if (lead == 0 || (lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || at + length > text.size()) {
      return false;
    }
    std::uint32_t code = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t next = 1; next < length; ++next) {
      const auto byte = static_cast<std::uint8_t>(text[at + next]);
      if ((byte & 0xc0) != 0x80) return false;
      code = code << 6 | (byte & 0x3f);
    }
    const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (is_overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    at += length;
  }
  return true;
}

void append_string(std::string& out, std::string_view text) {
  if (!is_text(text)) {
    out += R"({"hex":")";
    for (const char byte : text) {
      fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<std::uint8_t>(byte));
    }
    out += "\"}";
    return;
  }
  out.push_back('"');
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(byte);
    } else if (static_cast<std::uint8_t>(byte) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<std::uint8_t>(byte));
    } else {
      out.push_back(byte);
    }
  }
  out.push_back('"');
}

std::optional<std::string> string_from(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(text->data(), text->size());
  const auto* object = value.if_object();
  const auto* member = object == nullptr ? nullptr : object->if_contains("hex");
  const auto* hex = member == nullptr ? nullptr : member->if_string();
  if (hex == nullptr || hex->size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t at = 0; at < hex->size(); at += 2) {
    std::uint8_t byte = 0;
    const char* begin = hex->data() + at;
    if (std::from_chars(begin, begin + 2, byte, 16).ptr != begin + 2) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

std::optional<std::int64_t> integer_from(const json::value& value) {
  if (const auto* number = value.if_int64()) return *number;
  return std::nullopt;
}

/// Calls `take` with each row of an array of arrays of `width`; false if it is something else, or
/// `take` refuses a row.
template <typename Take>
bool for_each_row(std::string_view text, std::size_t width, Take take) {
  json::error_code error;
  json::monotonic_resource memory;
  const json::value parsed = json::parse({text.data(), text.size()}, error, &memory);
  const json::array* rows = error ? nullptr : parsed.if_array();
  if (rows == nullptr) return false;
  for (const json::value& each : *rows) {
    const json::array* row = each.if_array();
    if (row == nullptr || row->size() != width || !take(*row)) return false;
  }
  return true;
}

bool take_event(const json::array& row, domain::Event& event) {
  std::int64_t numbers[7] = {};
  for (std::size_t column = 0; column < 7; ++column) {
    if (column == 2 && row[column].is_null()) continue;
    const auto number = integer_from(row[column]);
    if (!number) return false;
    numbers[column] = *number;
  }
  const auto reason = domain::reason_from(static_cast<std::uint8_t>(numbers[5]));
  if (!reason) return false;
  event = {.version = {static_cast<std::uint32_t>(numbers[0])},
           .at = {numbers[1]},
           .from = std::nullopt,
           .to = static_cast<domain::Status>(numbers[3]),
           .stage = static_cast<domain::Stage>(numbers[4]),
           .reason = *reason,
           .attempt = static_cast<std::int32_t>(numbers[6])};
  if (!row[2].is_null()) event.from = static_cast<domain::Status>(numbers[2]);
  return true;
}

}  // namespace

std::string items_json(const std::vector<domain::Item>& items) {
  std::string out = "[";
  for (const domain::Item& item : items) {
    if (out.size() > 1) out.push_back(',');
    out.push_back('[');
    append_string(out, item.product.str());
    fmt::format_to(std::back_inserter(out), ",{},{}]", item.quantity, item.price_minor);
  }
  return out + "]";
}

std::string metadata_json(const Metadata& metadata) {
  std::string out = "[";
  for (const auto& [name, value] : metadata) {
    out += out.size() > 1 ? ",[" : "[";
    append_string(out, name);
    out.push_back(',');
    append_string(out, value);
    out.push_back(']');
  }
  return out + "]";
}

std::string events_json(const std::vector<domain::Event>& timeline, domain::Version read) {
  std::string out = "[";
  for (const domain::Event& event : timeline) {
    if (event.version <= read) continue;
    if (out.size() > 1) out.push_back(',');
    const std::string from = event.from ? std::to_string(static_cast<int>(*event.from)) : "null";
    fmt::format_to(std::back_inserter(out), "[{},{},{},{},{},{},{}]", event.version.number,
                   event.at.us, from, static_cast<int>(event.to), static_cast<int>(event.stage),
                   static_cast<int>(event.reason), event.attempt);
  }
  return out + "]";
}

std::optional<std::vector<domain::Item>> parse_items(std::string_view json) {
  std::vector<domain::Item> items;
  const bool is_whole = for_each_row(json, 3, [&](const json::array& row) {
    const auto product = string_from(row[0]);
    const auto quantity = integer_from(row[1]);
    const auto price = integer_from(row[2]);
    if (!product || !quantity || !price) return false;
    items.push_back({.product = domain::ProductId::unchecked(*product),
                     .quantity = static_cast<std::int32_t>(*quantity),
                     .price_minor = *price});
    return true;
  });
  if (!is_whole) return std::nullopt;
  return items;
}

std::optional<Metadata> parse_metadata(std::string_view json) {
  Metadata metadata;
  const bool is_whole = for_each_row(json, 2, [&](const json::array& row) {
    auto name = string_from(row[0]);
    auto value = string_from(row[1]);
    if (!name || !value) return false;
    metadata.emplace_back(*std::move(name), *std::move(value));
    return true;
  });
  if (!is_whole) return std::nullopt;
  return metadata;
}

std::optional<std::vector<domain::Event>> parse_events(std::string_view json) {
  std::vector<domain::Event> events;
  const bool is_whole = for_each_row(
      json, 7, [&](const json::array& row) { return take_event(row, events.emplace_back()); });
  if (!is_whole) return std::nullopt;
  return events;
}

}  // namespace penstock::postgres_store
