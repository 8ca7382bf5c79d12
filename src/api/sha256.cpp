#include "api/sha256.h"

#include <memory>

#include <openssl/evp.h>

#include "domain/check.h"

namespace penstock::api {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

/// Fetched once: an implicit fetch at each digest costs more than the digest.
const EVP_MD* algorithm() {
  static const EVP_MD* const kFetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  PENSTOCK_CHECK(kFetched != nullptr, "OpenSSL has no SHA-256");
  return kFetched;
}

}  // namespace

std::array<std::uint8_t, 32> sha256(std::initializer_list<std::string_view> parts) {
  static thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  PENSTOCK_CHECK(context != nullptr && EVP_DigestInit_ex2(context.get(), algorithm(), nullptr) == 1,
                 "SHA-256 cannot start");
  for (const std::string_view part : parts) {
    PENSTOCK_CHECK(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1, "SHA-256");
  }
  std::array<std::uint8_t, 32> digest{};
  unsigned int size = 0;
  PENSTOCK_CHECK(EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1, "SHA-256");
  return digest;
}

}  // namespace penstock::api
