#pragma once

#include "domain/instant.h"

namespace penstock::ports {

/// The only way to the time. `wall` never goes back within a process. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual domain::Now now() = 0;
  /// Shows no less than `stored` from here on, the latest time that an opened store holds. A clock
  /// that cannot be behind its store need not mind.
  virtual void not_before(domain::Instant stored) { static_cast<void>(stored); }
};

}  // namespace penstock::ports
