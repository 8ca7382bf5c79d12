#include "adapters/system/system_random.h"

#include <bit>
#include <cerrno>
#include <cstddef>

#include <sys/random.h>

#include "domain/check.h"

namespace penstock::system {

void fill_with_secret_bytes(void* bytes, std::size_t size) {
  auto* at = static_cast<unsigned char*>(bytes);
  while (size > 0) {
    ssize_t const got = ::getrandom(at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    PENSTOCK_CHECK(got > 0, "the kernel gives no random bytes");
    at += got;
    size -= static_cast<std::size_t>(got);
  }
}

SystemRandom::SystemRandom() {
  // All zero is the one state that the generator cannot leave.
  while (state_ == std::array<std::uint64_t, 4>{}) {
    fill_with_secret_bytes(state_.data(), sizeof state_);
  }
}

std::uint64_t SystemRandom::next() {
  std::uint64_t const result = std::rotl(state_[0] + state_[3], 23) + state_[0];
  std::uint64_t const shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

}  // namespace penstock::system
