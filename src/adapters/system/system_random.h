#pragma once

#include <array>
#include <cstdint>

#include "ports/random.h"

namespace penstock::system {

/// xoshiro256++ (https://prng.di.unimi.it/xoshiro256plusplus.c), seeded by getrandom(2). For ids
/// and jitter, not for secrets. One thread; make one for each.
class SystemRandom : public ports::Random {
 public:
  SystemRandom();
  std::uint64_t next() override;

 private:
  std::array<std::uint64_t, 4> state_{};
};

/// Fills `bytes` from the kernel's generator: good enough for keys. Stops the process where the
/// kernel has none.
void fill_with_secret_bytes(void* bytes, std::size_t size);

}  // namespace penstock::system
