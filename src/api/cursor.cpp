#include "api/cursor.h"

#include <algorithm>
#include <cstddef>

#include "api/base64url.h"
#include "api/sha256.h"
#include "domain/limits.h"

namespace penstock::api {
namespace {

constexpr char kFormat = 1;
constexpr std::size_t kHeadBytes = 2;
constexpr std::size_t kChecksumBytes = 6;

std::string checksum(std::string_view text) {
  const auto digest = sha256({"penstock cursor", text});
  return {digest.begin(), digest.begin() + kChecksumBytes};
}

}  // namespace

std::string encode_cursor(CursorList list, std::string_view position) {
  std::string bytes{kFormat, static_cast<char>(list)};
  bytes += position;
  bytes += checksum(bytes);
  return encode_base64url(bytes);
}

std::string encode_cursor(CursorList list, const domain::OrderId& position) {
  return encode_cursor(list, position.view());
}

std::optional<std::string> decode_cursor(CursorList list, std::string_view text) {
  if (text.size() > domain::limits::kMaxCursorBytes) return std::nullopt;
  const auto bytes = decode_base64url(text);
  if (!bytes || bytes->size() < kHeadBytes + kChecksumBytes) return std::nullopt;
  const std::size_t covered = bytes->size() - kChecksumBytes;
  if (bytes->compare(covered, kChecksumBytes, checksum({bytes->data(), covered})) != 0 ||
      bytes->front() != kFormat || (*bytes)[1] != static_cast<char>(list)) {
    return std::nullopt;
  }
  return bytes->substr(kHeadBytes, covered - kHeadBytes);
}

std::optional<domain::OrderId> decode_order_cursor(CursorList list, std::string_view text) {
  const auto position = decode_cursor(list, text);
  domain::OrderId::Bytes bytes{};
  if (!position || position->size() != bytes.size()) return std::nullopt;
  std::ranges::transform(*position, bytes.begin(),
                         [](char byte) { return static_cast<std::uint8_t>(byte); });
  return domain::OrderId(bytes);
}

}  // namespace penstock::api
