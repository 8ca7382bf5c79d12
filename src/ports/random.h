#pragma once

#include <cstdint>

namespace penstock::ports {

/// Uniformly random bits for ids and jitter. One thread.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;
};

}  // namespace penstock::ports
