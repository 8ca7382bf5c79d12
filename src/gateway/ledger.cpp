#include "gateway/ledger.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domain/check.h"

namespace penstock::gateway {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1024} * 1024;
/// Longer than any line: a key of 255 characters, each escaped, and the rest.
constexpr std::size_t kMaxLineBytes = 4096;

/// Reads a file's lines and finds where its whole part ends.
class Scan {
 public:
  Scan(int file, const LineSink& sink) : file_(file), sink_(sink) {}

  /// The bytes to keep.
  std::expected<std::uint64_t, LedgerError> run() {
    struct stat status{};
    if (::fstat(file_, &status) != 0) return std::unexpected(LedgerError::cannot_read);
    file_bytes_ = static_cast<std::uint64_t>(status.st_size);
    std::vector<char> buffer(kChunkBytes + kMaxLineBytes);
    std::size_t carried = 0;
    while (true) {
      const ssize_t got = ::read(file_, buffer.data() + carried, buffer.size() - carried);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::unexpected(LedgerError::cannot_read);
      std::string_view text(buffer.data(), carried + static_cast<std::size_t>(got));
      if (const auto lines = take_lines(text); !lines) return std::unexpected(lines.error());
      if (torn_) return kept_;
      if (got == 0) return text.empty() ? kept_ : torn_tail();
      if (text.size() > kMaxLineBytes) return torn_or_corrupt(text);
      std::copy(text.begin(), text.end(), buffer.begin());
      carried = text.size();
    }
  }

 private:
  /// Takes the whole lines off the front of `text`, or stops at a torn one.
  std::expected<void, LedgerError> take_lines(std::string_view& text) {
    for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
      const std::string_view line = text.substr(0, end);
      const std::optional<LedgerLine> parsed = parse_line(line, scratch_);
      if (!parsed) {
        if (const auto kept = torn_or_corrupt(line); !kept) return std::unexpected(kept.error());
        torn_ = true;
        return {};
      }
      if (!sink_(*parsed)) return std::unexpected(LedgerError::corrupt);
      text.remove_prefix(end + 1);
      kept_ += end + 1;
    }
    return {};
  }

  /// A line that misses its end can only be the last group's: earlier groups were synced whole.
  std::expected<std::uint64_t, LedgerError> torn_tail() const {
    if (file_bytes_ - kept_ > Ledger::kMaxGroupBytes) return std::unexpected(LedgerError::corrupt);
    return kept_;
  }

  std::expected<std::uint64_t, LedgerError> torn_or_corrupt(std::string_view line) const {
    if (line.find('\0') == std::string_view::npos) return std::unexpected(LedgerError::corrupt);
    return torn_tail();
  }

  int file_;
  const LineSink& sink_;
  std::string scratch_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t kept_ = 0;
  bool torn_ = false;
};

bool sync_directory_of(const std::string& path) {
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (parent.empty()) parent = ".";
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  const bool synced = ::fsync(directory) == 0;
  ::close(directory);
  return synced;
}

int open_file(const std::string& path) {
  return ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

std::expected<void, LedgerError> recover(int file, const LineSink& sink) {
  const auto kept = Scan(file, sink).run();
  if (!kept) return std::unexpected(kept.error());
  struct stat status{};
  if (::fstat(file, &status) != 0) return std::unexpected(LedgerError::cannot_read);
  if (static_cast<std::uint64_t>(status.st_size) == *kept) return {};
  const bool cut = ::ftruncate(file, static_cast<off_t>(*kept)) == 0 && ::fsync(file) == 0;
  if (!cut) return std::unexpected(LedgerError::cannot_open);
  return {};
}

bool write_and_sync(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fdatasync(file) == 0;
}

}  // namespace

std::string_view to_string(LedgerError error) {
  switch (error) {
    case LedgerError::cannot_open:
      return "the ledger's files cannot be opened or made";
    case LedgerError::locked:
      return "another process has the ledger open";
    case LedgerError::cannot_read:
      return "the ledger cannot be read";
    case LedgerError::corrupt:
      return "the ledger holds a line of a wrong form, or one that contradicts an earlier one";
    case LedgerError::cannot_write:
      return "the ledger could not be written or synced";
  }
  return "";
}

std::expected<Ledger, LedgerError> Ledger::open(const std::string& path, const LineSink& sink) {
  Ledger ledger;
  ledger.movements_ = open_file(path);
  if (ledger.movements_ < 0) return std::unexpected(LedgerError::cannot_open);
  if (::flock(ledger.movements_, LOCK_EX | LOCK_NB) != 0) {
    return std::unexpected(LedgerError::locked);
  }
  ledger.keys_ = open_file(path + ".keys");
  if (ledger.keys_ < 0 || !sync_directory_of(path)) {
    return std::unexpected(LedgerError::cannot_open);
  }
  for (const int file : {ledger.movements_, ledger.keys_}) {
    if (const auto done = recover(file, sink); !done) return std::unexpected(done.error());
  }
  return ledger;
}

Ledger::Ledger(Ledger&& other) noexcept
    : movements_(std::exchange(other.movements_, -1)),
      keys_(std::exchange(other.keys_, -1)),
      failed_(other.failed_) {}

Ledger::~Ledger() {
  if (keys_ >= 0) ::close(keys_);
  if (movements_ >= 0) ::close(movements_);
}

std::expected<void, LedgerError> Ledger::append(std::string_view movements, std::string_view keys) {
  PENSTOCK_CHECK(movements.size() <= kMaxGroupBytes && keys.size() <= kMaxGroupBytes,
                 "a group is bounded: recovery relies on it");
  if (failed_) return std::unexpected(LedgerError::cannot_write);
  failed_ = (!movements.empty() && !write_and_sync(movements_, movements)) ||
            (!keys.empty() && !write_and_sync(keys_, keys));
  if (failed_) return std::unexpected(LedgerError::cannot_write);
  return {};
}

}  // namespace penstock::gateway
