#include "adapters/system/boot_id.h"

#include <fstream>

#include <fmt/format.h>

#include "adapters/system/system_random.h"

namespace penstock::system {

std::string read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string line;
  if (std::getline(file, line) && !line.empty()) return line;
  SystemRandom random;
  return fmt::format("unknown-{:016x}{:016x}", random.next(), random.next());
}

}  // namespace penstock::system
