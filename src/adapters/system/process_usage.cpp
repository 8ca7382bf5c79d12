#include "adapters/system/process_usage.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

namespace penstock::system {
namespace {

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

/// The number behind "name:" in a text of "name: number [unit]" lines; 0 where it is missing.
std::int64_t number_after(std::string_view text, std::string_view name) {
  std::size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  at = text.find_first_of("0123456789", at + name.size());
  if (at == std::string_view::npos) return 0;
  std::int64_t number = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), number);
  return number;
}

struct ProcessTimes {
  std::int64_t cpu_us = 0;
  std::int64_t start_us = 0;  ///< since the machine was booted
};

/// utime, stime and starttime, fields 14, 15 and 22 of /proc/PID/stat, counted behind the command's
/// name, which may hold spaces and parentheses itself.
std::optional<ProcessTimes> times_of(std::string_view stat) {
  std::size_t const name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::istringstream fields{std::string(stat.substr(name_end + 1))};
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::int64_t user = 0;
  std::int64_t kernel = 0;
  if (!(fields >> user >> kernel)) return std::nullopt;
  for (int field = 16; field < 22; ++field) fields >> skipped;
  std::int64_t start = 0;
  if (!(fields >> start)) return std::nullopt;
  std::int64_t const ticks_per_second = ::sysconf(_SC_CLK_TCK);
  return ProcessTimes{.cpu_us = (user + kernel) * 1'000'000 / ticks_per_second,
                      .start_us = start * 1'000'000 / ticks_per_second};
}

/// The wall clock when the machine was booted, as /proc/stat has it.
std::int64_t boot_us() {
  auto const stat = read_text("/proc/stat");
  return stat ? number_after(*stat, "\nbtime ") * 1'000'000 : 0;
}

}  // namespace

std::optional<ProcessUsage> read_process_usage(pid_t process) {
  std::string const folder = fmt::format("/proc/{}/", process);
  auto const stat = read_text(folder + "stat");
  auto const status = read_text(folder + "status");
  if (!stat || !status) return std::nullopt;
  auto const times = times_of(*stat);
  if (!times) return std::nullopt;
  ProcessUsage usage{.cpu_us = times->cpu_us,
                     .resident_bytes = number_after(*status, "VmRSS:") * 1024,
                     .peak_resident_bytes = number_after(*status, "VmHWM:") * 1024,
                     .start_us = boot_us() + times->start_us};
  if (auto const limits = read_text(folder + "limits")) {
    usage.most_descriptors = number_after(*limits, "Max open files");
  }
  if (auto const io = read_text(folder + "io")) {
    usage.written_bytes = number_after(*io, "\nwrite_bytes:");
  }
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder + "fd", failed), end; !failed && at != end;
       at.increment(failed)) {
    ++usage.open_descriptors;
  }
  return usage;
}

ProcessUsage read_own_usage() {
  return read_process_usage(::getpid()).value_or(ProcessUsage{});
}

}  // namespace penstock::system
