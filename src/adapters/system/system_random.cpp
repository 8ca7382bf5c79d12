#include "adapters/system/system_random.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <utility>

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

namespace {

using State = std::array<std::uint32_t, 16>;

void quarter_round(State& state, std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
  state[a] += state[b];
  state[d] = std::rotl(state[d] ^ state[a], 16);
  state[c] += state[d];
  state[b] = std::rotl(state[b] ^ state[c], 12);
  state[a] += state[b];
  state[d] = std::rotl(state[d] ^ state[a], 8);
  state[c] += state[d];
  state[b] = std::rotl(state[b] ^ state[c], 7);
}

}  // namespace

std::array<std::uint32_t, 16> chacha20_block(const std::array<std::uint32_t, 8>& key,
                                             std::uint32_t counter) {
  // "expand 32-byte k", the key, the counter, a nonce of zero.
  const State start{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0],  key[1], key[2], key[3],
                    key[4],     key[5],     key[6],     key[7],     counter, 0,      0,      0};
  State state = start;
  for (int round = 0; round < 10; ++round) {
    quarter_round(state, 0, 4, 8, 12);
    quarter_round(state, 1, 5, 9, 13);
    quarter_round(state, 2, 6, 10, 14);
    quarter_round(state, 3, 7, 11, 15);
    quarter_round(state, 0, 5, 10, 15);
    quarter_round(state, 1, 6, 11, 12);
    quarter_round(state, 2, 7, 8, 13);
    quarter_round(state, 3, 4, 9, 14);
  }
  for (std::size_t word = 0; word < state.size(); ++word) state[word] += start[word];
  return state;
}

SystemRandom::SystemRandom() {
  fill_with_secret_bytes(words_.data(), kKeyWords * sizeof(std::uint32_t));
}

void SystemRandom::refill() {
  std::array<std::uint32_t, kKeyWords> key{};
  std::copy_n(words_.begin(), kKeyWords, key.begin());
  for (std::size_t block = 0; block < kBlocks; ++block) {
    const State words = chacha20_block(key, static_cast<std::uint32_t>(block));
    std::ranges::copy(words, words_.begin() + static_cast<std::ptrdiff_t>(block * words.size()));
  }
  used_ = kKeyWords;
}

std::uint64_t SystemRandom::next() {
  if (used_ == kWords) refill();
  const std::uint64_t low = std::exchange(words_[used_++], 0);
  const std::uint64_t high = std::exchange(words_[used_++], 0);
  return high << 32 | low;
}

}  // namespace penstock::system
