#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "domain/ids.h"

namespace penstock::api {

/// Which list a cursor continues; one list's cursor is no other's.
enum class CursorList : std::uint8_t {
  orders = 1,
  dead_letters = 2,
  owed_refunds = 3,
  tenants = 4
};

/// A page's position as the opaque text that clients hand back:
///
///     base64url( format 1 | list 1 | position n | first 6 bytes of the SHA-256 of all before )
///
/// The checksum finds what was mangled or made up; it is no secret, and a position reveals only
/// what the page itself showed.
std::string encode_cursor(CursorList list, std::string_view position);
std::string encode_cursor(CursorList list, const domain::OrderId& position);

/// The position, if the text is a whole cursor of this list.
std::optional<std::string> decode_cursor(CursorList list, std::string_view text);
std::optional<domain::OrderId> decode_order_cursor(CursorList list, std::string_view text);

}  // namespace penstock::api
