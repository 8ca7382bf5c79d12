#pragma once

#include "domain/instant.h"

namespace penstock::ports {

/// The only way to the time. `wall` never goes back within a process. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual domain::Now now() = 0;
};

}  // namespace penstock::ports
