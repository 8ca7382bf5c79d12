#include "simulation/probe.h"

namespace penstock::simulation {
namespace {

struct Entry {
  ProbeWorlds worlds;
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<Entry, kProbes> kRegistry{{
#define X(name, worlds, text, meaning) {ProbeWorlds::worlds, text, meaning},
    PENSTOCK_PROBES(X)
#undef X
}};

const Entry& entry_of(Probe probe) {
  return kRegistry[static_cast<std::size_t>(probe)];
}

}  // namespace

std::string_view to_string(Probe probe) {
  return entry_of(probe).name;
}

std::string_view meaning_of(Probe probe) {
  return entry_of(probe).meaning;
}

std::optional<Probe> parse_probe(std::string_view text) {
  for (std::size_t index = 0; index < kProbes; ++index) {
    if (kRegistry[index].name == text) return static_cast<Probe>(index);
  }
  return std::nullopt;
}

bool belongs_to(Probe probe, World world) {
  return (static_cast<unsigned>(entry_of(probe).worlds) & static_cast<unsigned>(world)) != 0;
}

}  // namespace penstock::simulation
