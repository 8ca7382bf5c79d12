#include "simulation/totals.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "simulation/random_stream.h"

namespace penstock::simulation {
namespace {

template <typename AnyTotals, typename Visit>
void for_each_number(AnyTotals& totals, Visit visit) {
  visit("seeds", totals.seeds);
  visit("orders", totals.orders);
  visit("operations", totals.operations);
  visit("commits", totals.commits);
  visit("crashes", totals.crashes);
  visit("steps", totals.steps);
  visit("virtual_seconds", totals.virtual_seconds);
  visit("digest", totals.digest);
  visit("unsafe", totals.unsafe);
  visit("not_live", totals.not_live);
  visit("broken", totals.broken);
}

constexpr std::string_view kFailing = "failing";
constexpr std::string_view kProbePrefix = "probe.";

std::optional<std::uint64_t> number_from(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool take_line(std::string_view name, std::uint64_t number, Totals& totals) {
  bool known = false;
  for_each_number(totals, [&](std::string_view field, std::uint64_t& value) {
    if (field != name) return;
    value = number;
    known = true;
  });
  if (name == kFailing) {
    totals.failing_seeds.push_back(number);
    known = true;
  }
  if (name.starts_with(kProbePrefix)) {
    // A probe that is gone since the file was written counts for nothing.
    known = true;
    if (const auto probe = parse_probe(name.substr(kProbePrefix.size()))) {
      totals.probes.add(*probe, number);
    }
  }
  return known;
}

}  // namespace

void Totals::add(const RunResult& result) {
  seeds += 1;
  orders += result.orders;
  operations += result.operations;
  commits += result.commits;
  crashes += result.crashes;
  steps += result.step;
  virtual_seconds += static_cast<std::uint64_t>(result.virtual_time.us / 1'000'000);
  digest += mixed(result.digest ^ mixed(result.seed));
  unsafe += result.verdict == Verdict::safety ? 1 : 0;
  not_live += result.verdict == Verdict::liveness ? 1 : 0;
  if (result.verdict != Verdict::clean && failing_seeds.size() < kMaxNamed) {
    failing_seeds.push_back(result.seed);
  }
  probes.merge(result.probes);
}

void Totals::add_broken(std::uint64_t seed) {
  seeds += 1;
  broken += 1;
  if (failing_seeds.size() < kMaxNamed) failing_seeds.push_back(seed);
}

void Totals::merge(const Totals& other) {
  seeds += other.seeds;
  orders += other.orders;
  operations += other.operations;
  commits += other.commits;
  crashes += other.crashes;
  steps += other.steps;
  virtual_seconds += other.virtual_seconds;
  digest += other.digest;
  unsafe += other.unsafe;
  not_live += other.not_live;
  broken += other.broken;
  failing_seeds.insert(failing_seeds.end(), other.failing_seeds.begin(), other.failing_seeds.end());
  std::ranges::sort(failing_seeds);
  if (failing_seeds.size() > kMaxNamed) failing_seeds.resize(kMaxNamed);
  probes.merge(other.probes);
}

std::string to_text(const Totals& totals) {
  std::string text;
  for_each_number(totals, [&](std::string_view name, std::uint64_t value) {
    text += fmt::format("{} {}\n", name, value);
  });
  for (const std::uint64_t seed : totals.failing_seeds) {
    text += fmt::format("{} {}\n", kFailing, seed);
  }
  for (std::size_t index = 0; index < kProbes; ++index) {
    const auto probe = static_cast<Probe>(index);
    text += fmt::format("{}{} {}\n", kProbePrefix, to_string(probe), totals.probes.of(probe));
  }
  return text;
}

std::expected<Totals, std::string> parse_totals(std::string_view text) {
  Totals totals;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::unexpected("the last line is torn");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const std::size_t space = line.find(' ');
    std::optional<std::uint64_t> number;
    if (space != std::string_view::npos) number = number_from(line.substr(space + 1));
    if (!number || !take_line(line.substr(0, space), *number, totals)) {
      return std::unexpected(std::string(line));
    }
  }
  return totals;
}

}  // namespace penstock::simulation
