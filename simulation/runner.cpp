#include "simulation/runner.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <expected>
#include <filesystem>
#include <fstream>
#include <new>
#include <ostream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "simulation/totals.h"

namespace penstock::simulation {
namespace {

namespace fs = std::filesystem;

/// Seeds of one process between two looks at the state file.
constexpr std::uint64_t kSeedsAtOnce = 200;

const char* name_of(World world) {
  return world == World::single ? "single" : "distributed";
}

/// Seeds by their place behind the first one: begin..end-1.
struct Slice {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t shard = 0;
  std::uint64_t shards = 1;
};

/// What a child tells its parent while it runs; in memory that both see.
struct Noticeboard {
  std::uint64_t seed = 0;
};

class SeedRunner {
 public:
  SeedRunner(const RunnerOptions& options, std::optional<Scenario> scenario)
      : options_(options), scenario_(std::move(scenario)) {}

  /// Runs each slice in a child process of its own, all at once.
  Totals run(const std::vector<Slice>& slices, std::string& reports) const {
    std::vector<Child> children;
    for (const Slice& slice : slices) children.push_back(start(slice, {}));
    Totals totals;
    for (std::size_t index = 0; index < slices.size(); ++index) {
      totals.merge(collect(slices[index], children[index], reports));
    }
    return totals;
  }

 private:
  static constexpr std::string_view kTotalsFollow = "\n--totals--\n";

  struct Child {
    pid_t process = -1;
    int output = -1;
    Noticeboard* board = nullptr;
  };

  Scenario scenario_of(std::uint64_t seed) const {
    Scenario scenario = scenario_ ? *scenario_ : Scenario::drawn(seed, options_.world);
    if (options_.orders) scenario.workload.orders = *options_.orders;
    return scenario;
  }

  /// Waits for a child; starts another one behind each seed that ended its process.
  Totals collect(const Slice& slice, Child child, std::string& reports) const {
    Totals broken;
    std::set<std::uint64_t> skipped;
    while (true) {
      const std::string text = read_all(child.output);
      int status = 0;
      ::waitpid(child.process, &status, 0);
      const std::uint64_t seed = child.board->seed;
      ::munmap(child.board, sizeof(Noticeboard));
      const std::size_t split = text.find(kTotalsFollow);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && split != std::string::npos) {
        reports += text.substr(0, split);
        Totals totals = parse_totals(text.substr(split + kTotalsFollow.size())).value();
        totals.merge(broken);
        return totals;
      }
      skipped.insert(seed);
      broken.add_broken(seed);
      reports += report_of_broken(seed, status);
      child = start(slice, skipped);
    }
  }

  std::string report_of_broken(std::uint64_t seed, int status) const {
    RunResult result;
    result.seed = seed;
    result.finding = WIFSIGNALED(status)
                         ? fmt::format("the run ended the simulator with signal {}, see stderr",
                                       WTERMSIG(status))
                         : std::string("the run threw an exception, see stderr");
    return report_of(options_, scenario_of(seed), result);
  }

  Child start(const Slice& slice, const std::set<std::uint64_t>& skipped) const {
    Child child;
    void* const shared = ::mmap(nullptr, sizeof(Noticeboard), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::runtime_error("no memory to share");
    child.board = new (shared) Noticeboard;
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    std::fflush(nullptr);
    child.process = ::fork();
    if (child.process < 0) throw std::runtime_error("no process");
    if (child.process == 0) {
      ::close(ends[0]);
      run_slice(slice, skipped, *child.board, ends[1]);
    }
    ::close(ends[1]);
    child.output = ends[0];
    return child;
  }

  [[noreturn]] void run_slice(const Slice& slice, const std::set<std::uint64_t>& skipped,
                              Noticeboard& board, int output) const {
    try {
      Totals totals;
      for (std::uint64_t place = slice.begin; place < slice.end; ++place) {
        const std::uint64_t seed = options_.first_seed + place;
        if (place % slice.shards != slice.shard || skipped.contains(seed)) continue;
        board.seed = seed;
        const Scenario scenario = scenario_of(seed);
        const RunResult result = options_.run({.seed = seed,
                                               .scenario = scenario,
                                               .trace = options_.trace ? stdout : nullptr,
                                               .defect = PlantedDefect::none});
        if (result.verdict != Verdict::clean) {
          write_all(output, report_of(options_, scenario, result));
        }
        totals.add(result);
      }
      write_all(output, std::string(kTotalsFollow) + to_text(totals));
      std::fflush(nullptr);
      std::_Exit(0);
    } catch (const std::exception& error) {
      fmt::print(stderr, "penstock simulate: seed {}: {}\n", board.seed, error.what());
    } catch (...) {
      fmt::print(stderr, "penstock simulate: seed {}: an exception of an unknown kind\n",
                 board.seed);
    }
    std::fflush(nullptr);
    std::_Exit(1);
  }

  static void write_all(int output, std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(output, text.data(), text.size());
      if (written < 0 && errno != EINTR) std::_Exit(1);
      if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  static std::string read_all(int input) {
    std::string text;
    char buffer[4096];
    while (true) {
      const ssize_t got = ::read(input, buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(input);
    return text;
  }

  const RunnerOptions& options_;
  std::optional<Scenario> scenario_;
};

std::expected<std::pair<std::uint64_t, Totals>, std::string> read_state(const std::string& path,
                                                                        const std::string& what) {
  if (!fs::exists(path)) return std::pair{std::uint64_t{0}, Totals{}};
  std::ifstream file(path, std::ios::binary);
  std::string run;
  std::string place;
  std::getline(file, run);
  std::getline(file, place);
  if (run != what) return std::unexpected(fmt::format("{} is of another run: {}", path, run));
  std::ostringstream rest;
  rest << file.rdbuf();
  auto totals = parse_totals(rest.str());
  if (!file || !totals || !place.starts_with("next ")) {
    return std::unexpected(fmt::format("{} cannot be read", path));
  }
  return std::pair{std::stoull(place.substr(5)), std::move(*totals)};
}

/// Whole or not at all: written beside, then renamed.
void write_state(const std::string& path, const std::string& what, std::uint64_t next,
                 const Totals& totals) {
  const std::string beside = path + ".new";
  {
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    file << what << "\nnext " << next << "\n" << to_text(totals);
    if (!file.flush()) throw std::runtime_error("cannot write " + beside);
  }
  fs::rename(beside, path);
}

void print_summary(const RunnerOptions& options, const Totals& totals, double wall_seconds,
                   std::uint64_t orders_now, std::uint64_t virtual_now, std::ostream& out) {
  out << fmt::format(
      "world {}: {} seeds from {}, {} orders, {} operations, {} commits, {} crashes, {} steps\n",
      name_of(options.world), totals.seeds, options.first_seed, totals.orders, totals.operations,
      totals.commits, totals.crashes, totals.steps);
  const double wall = std::max(wall_seconds, 1e-6);
  out << fmt::format("{} virtual seconds; {:.1f} s of wall time, {:.0f} orders/s, {:.0f} x real\n",
                     totals.virtual_seconds, wall_seconds, static_cast<double>(orders_now) / wall,
                     static_cast<double>(virtual_now) / wall);
  out << fmt::format("unsafe {}, not live {}, broken {}\n", totals.unsafe, totals.not_live,
                     totals.broken);
  out << fmt::format("digest {:016x}\n", totals.digest);
}

/// Names the probes of the world that never fired; how many.
std::size_t print_missing_probes(const RunnerOptions& options, const Totals& totals,
                                 std::ostream& out) {
  std::size_t missing = 0;
  for (std::size_t index = 0; index < kProbes; ++index) {
    const auto probe = static_cast<Probe>(index);
    if (!belongs_to(probe, options.world) || totals.probes.of(probe) > 0) continue;
    missing += 1;
    out << fmt::format("never reached: {} ({})\n", to_string(probe), meaning_of(probe));
  }
  return missing;
}

std::string identity_of(const RunnerOptions& options) {
  return fmt::format("run {} first {} shard {}/{} orders {} scenario {}", name_of(options.world),
                     options.first_seed, options.shard, options.shards,
                     options.orders ? *options.orders : 0, options.scenario);
}

std::vector<Slice> slices_of(const RunnerOptions& options, std::uint64_t begin, std::uint64_t end) {
  std::vector<Slice> slices;
  const auto processes = static_cast<std::uint64_t>(options.processes);
  for (std::uint64_t process = 0; process < processes; ++process) {
    slices.push_back({.begin = begin,
                      .end = end,
                      .shard = options.shard + process * options.shards,
                      .shards = options.shards * processes});
  }
  return slices;
}

RunnerExit exit_of(const Totals& totals, bool probes_missing) {
  if (totals.broken > 0) return RunnerExit::broken;
  if (totals.unsafe > 0) return RunnerExit::unsafe;
  if (totals.not_live > 0) return RunnerExit::not_live;
  return probes_missing ? RunnerExit::probe_missing : RunnerExit::clean;
}

std::string first_mistake(const RunnerOptions& options) {
  if (options.processes < 1 || options.processes > kMaxProcesses) return "too many processes";
  if (options.shards < 1 || options.shard >= options.shards) return "no such shard";
  return {};
}

}  // namespace

RunnerExit run_seeds(const RunnerOptions& options, std::ostream& out) {
  std::optional<Scenario> scenario;
  std::string mistake = first_mistake(options);
  if (mistake.empty() && !options.scenario.empty()) {
    auto read = read_scenario(options.scenario);
    if (read) {
      scenario = std::move(*read);
    } else {
      mistake = read.error();
    }
  }
  std::pair<std::uint64_t, Totals> state;
  if (mistake.empty() && !options.resume.empty()) {
    auto read = read_state(options.resume, identity_of(options));
    if (read) {
      state = std::move(*read);
    } else {
      mistake = read.error();
    }
  }
  if (!mistake.empty()) {
    out << "penstock simulate: " << mistake << "\n";
    return RunnerExit::wrong_use;
  }
  auto& [next, totals] = state;
  const std::uint64_t orders_before = totals.orders;
  const std::uint64_t virtual_before = totals.virtual_seconds;
  const auto begin = std::chrono::steady_clock::now();
  const SeedRunner runner(options, std::move(scenario));
  const std::uint64_t at_once =
      kSeedsAtOnce * static_cast<std::uint64_t>(options.processes) * options.shards;
  while (next < options.seeds) {
    const std::uint64_t end = std::min(options.seeds, next + at_once);
    std::string reports;
    totals.merge(runner.run(slices_of(options, next, end), reports));
    out << reports << std::flush;
    next = end;
    if (!options.resume.empty()) write_state(options.resume, identity_of(options), next, totals);
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  print_summary(options, totals, wall.count(), totals.orders - orders_before,
                totals.virtual_seconds - virtual_before, out);
  const bool probes_missing =
      options.require_probes && print_missing_probes(options, totals, out) > 0;
  return exit_of(totals, probes_missing);
}

std::string report_of(const RunnerOptions& options, const Scenario& scenario,
                      const RunResult& result) {
  std::string kind = "broken";
  if (result.verdict == Verdict::safety) kind = "unsafe";
  if (result.verdict == Verdict::liveness) kind = "not live";
  std::string text = fmt::format("seed {}: {}: {}\n", result.seed, kind, result.finding);
  text += fmt::format("  at step {}, {:.6f} virtual seconds\n", result.step,
                      static_cast<double>(result.virtual_time.us) / 1e6);
  std::string again = fmt::format("penstock simulate --world {} --seed {} --trace",
                                  name_of(options.world), result.seed);
  if (!options.scenario.empty()) again += " --scenario " + options.scenario;
  if (options.orders) again += fmt::format(" --orders {}", *options.orders);
  text += fmt::format("  again: {}\n  scenario:\n", again);
  std::istringstream lines(to_toml(scenario));
  for (std::string line; std::getline(lines, line);) text += "    " + line + "\n";
  if (!result.last_lines.empty()) text += "  the last lines of the trace:\n";
  for (const std::string& line : result.last_lines) text += "    " + line + "\n";
  return text;
}

}  // namespace penstock::simulation
