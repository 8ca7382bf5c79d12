#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ports/random.h"

namespace penstock::system {

/// Numbers that nobody can predict, whatever they saw of earlier ones: from OpenSSL's generator
/// (RAND_bytes, CTR_DRBG of NIST SP 800-90A), fetched in blocks. A number that was given out is
/// erased from the block. One thread; make one for each.
class SystemRandom : public ports::Random {
 public:
  std::uint64_t next() override;

 private:
  static constexpr std::size_t kWords = 256;

  std::array<std::uint64_t, kWords> words_{};  ///< what is still to be given out, from `used_` on
  std::size_t used_ = kWords;
};

/// Fills `bytes` from the same generator: good enough for keys. Any thread. Ends the process where
/// the system has no random bytes.
void fill_with_secret_bytes(std::span<unsigned char> bytes);

}  // namespace penstock::system
