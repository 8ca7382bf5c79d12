#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include <sys/types.h>

namespace penstock::cli {

/// What a process has used so far.
struct ProcessReading {
  std::int64_t cpu_us = 0;
  std::int64_t peak_resident_bytes = 0;
  std::int64_t written_bytes = 0;
};

/// Reads a process of this machine; handed in by main.
using ProcessReader = std::function<std::optional<ProcessReading>(pid_t)>;

}  // namespace penstock::cli
