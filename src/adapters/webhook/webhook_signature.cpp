#include "adapters/webhook/webhook_signature.h"

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "domain/check.h"

namespace penstock::webhook {
namespace {

constexpr std::string_view kPrefix = "whsec_";

using Bytes = std::vector<unsigned char>;

const unsigned char* as_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::optional<Bytes> decode_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  if (text.substr(0, text.size() - padding).find('=') != std::string_view::npos) {
    return std::nullopt;
  }
  Bytes bytes(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(bytes.data(), as_bytes(text), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  bytes.resize(bytes.size() - padding);
  return bytes;
}

/// The bytes of "whsec_<base64>".
std::optional<Bytes> decode_secret(std::string_view secret) {
  if (!secret.starts_with(kPrefix)) return std::nullopt;
  return decode_base64(secret.substr(kPrefix.size()));
}

/// All the keys that `secret` names.
std::vector<Bytes> keys_of(std::string_view secret) {
  const std::size_t space = secret.find(' ');
  if (space != std::string_view::npos) {
    auto first = decode_secret(secret.substr(0, space));
    auto second = decode_secret(secret.substr(space + 1));
    if (first && second) return {std::move(*first), std::move(*second)};
  } else if (auto only = decode_secret(secret)) {
    return {std::move(*only)};
  }
  return {Bytes(secret.begin(), secret.end())};
}

std::string signature(const Bytes& key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const unsigned char* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                                   as_bytes(text), text.size(), digest.data(), &size);
  PENSTOCK_CHECK(made != nullptr, "HMAC-SHA256 over memory does not fail");
  std::array<unsigned char, (EVP_MAX_MD_SIZE + 2) / 3 * 4 + 1> base64{};
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
  return "v1," + std::string(base64.begin(), base64.begin() + length);
}

}  // namespace

std::string sign(std::string_view secret, const SignedContent& content) {
  std::string text(content.id);
  text += '.';
  text += std::to_string(content.timestamp_s);
  text += '.';
  text += content.body;
  std::string header;
  for (const Bytes& key : keys_of(secret)) {
    if (!header.empty()) header += ' ';
    header += signature(key, text);
  }
  return header;
}

}  // namespace penstock::webhook
