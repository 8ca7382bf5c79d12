#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

namespace penstock::system {

/// What a process has used so far, as the kernel counts it (proc(5)).
struct ProcessUsage {
  std::int64_t cpu_us = 0;          ///< user and system time of all its threads
  std::int64_t resident_bytes = 0;  ///< now
  std::int64_t peak_resident_bytes = 0;
  std::int64_t written_bytes = 0;  ///< sent to the block layer; 0 where that is not shown
  std::int64_t open_descriptors = 0;
  std::int64_t most_descriptors = 0;  ///< its soft limit; 0 where that is not shown
  std::int64_t start_us = 0;          ///< the wall clock at its start, since 1970
};

/// Reads the usage of a process; nothing if there is none of that id or it cannot be read.
std::optional<ProcessUsage> read_process_usage(pid_t process);

/// The usage of this process.
ProcessUsage read_own_usage();

}  // namespace penstock::system
