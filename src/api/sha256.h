#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace penstock::api {

/// SHA-256 (FIPS 180-4) over the parts in order, as one text. Thread-safe; the digest's context is
/// kept per thread, since making one costs more than a short hash.
std::array<std::uint8_t, 32> sha256(std::initializer_list<std::string_view> parts);

}  // namespace penstock::api
