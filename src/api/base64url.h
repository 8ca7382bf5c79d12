#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace penstock::api {

/// RFC 4648 section 5 without padding.
std::string encode_base64url(std::string_view bytes);

/// Reads what encode_base64url wrote; nothing for another character, padding, an impossible length
/// or bits beyond the last byte.
std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace penstock::api
