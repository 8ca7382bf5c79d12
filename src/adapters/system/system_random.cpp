#include "adapters/system/system_random.h"

#include <utility>

#include <openssl/rand.h>

#include "domain/check.h"

namespace penstock::system {

void fill_with_secret_bytes(std::span<unsigned char> bytes) {
  PENSTOCK_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1,
                 "there are no random bytes");
}

std::uint64_t SystemRandom::next() {
  if (used_ == words_.size()) {
    fill_with_secret_bytes({reinterpret_cast<unsigned char*>(words_.data()), sizeof words_});
    used_ = 0;
  }
  return std::exchange(words_[used_++], 0);
}

}  // namespace penstock::system
