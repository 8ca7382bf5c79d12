#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ports/random.h"

namespace penstock::system {

/// ChaCha20 (RFC 8439) under a key from getrandom(2), with fast key erasure: each block's first
/// half becomes the next key, so that what was given out cannot be computed from what is in memory,
/// and nobody who sees ids can tell the next one. One thread; make one for each.
class SystemRandom : public ports::Random {
 public:
  SystemRandom();
  std::uint64_t next() override;

 private:
  static constexpr std::size_t kBlocks = 8;
  static constexpr std::size_t kKeyWords = 8;
  static constexpr std::size_t kWords = kBlocks * 16;

  void refill();

  std::array<std::uint32_t, kWords> words_{};  ///< a key, then what is still to be given out
  std::size_t used_ = kWords;
};

/// One block of ChaCha20: `key` is 8 words, `counter` the block's number, the nonce is zero.
std::array<std::uint32_t, 16> chacha20_block(const std::array<std::uint32_t, 8>& key,
                                             std::uint32_t counter);

/// Fills `bytes` from the kernel's generator: good enough for keys. Stops the process where the
/// kernel has none.
void fill_with_secret_bytes(void* bytes, std::size_t size);

}  // namespace penstock::system
