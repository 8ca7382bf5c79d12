#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "gateway/ledger_line.h"

namespace penstock::gateway {

enum class LedgerError : std::uint8_t {
  cannot_open,   ///< a file cannot be opened, made, or cut to its last whole line
  locked,        ///< another process has the ledger open
  cannot_read,   ///< reading failed
  corrupt,       ///< a line that is not torn has a wrong form, or contradicts an earlier one
  cannot_write,  ///< a write or a sync failed: the outcome of the group is unknown
};

/// One sentence for people.
std::string_view to_string(LedgerError error);

/// Takes a stored line back in; false if it contradicts what was taken in before.
using LineSink = std::function<bool(const LedgerLine&)>;

/// The gateway's memory on disk: two append-only files of lines (ledger_line.h). `<path>` is the
/// ledger, money movements alone, for others to read; `<path>.keys` keeps closed keys and declines,
/// so that a key gets the same answer over restarts. Delete both or none.
/// One thread; movable; one process (a lock on the ledger file).
class Ledger {
 public:
  /// Opens or makes both files, gives every whole line to `sink`, ledger first, each file in
  /// order. What a crash tore is cut off: a last line without its end, and, within the last
  /// kMaxGroupBytes, everything behind a line that holds a zero byte (a block that was never
  /// written). Any other damage is `corrupt`.
  static std::expected<Ledger, LedgerError> open(const std::string& path, const LineSink& sink);

  Ledger(Ledger&& other) noexcept;
  Ledger& operator=(Ledger&&) = delete;
  ~Ledger();

  /// Appends a group of lines: one write and one fdatasync a file that has lines. What it reported
  /// is durable. After a failure every further call fails: nothing is retried, since the kernel
  /// may have dropped the pages. Either text may be empty; at most kMaxGroupBytes each.
  std::expected<void, LedgerError> append(std::string_view movements, std::string_view keys);

  static constexpr std::size_t kMaxGroupBytes = std::size_t{16} * 1024 * 1024;

 private:
  Ledger() = default;

  int movements_ = -1;
  int keys_ = -1;
  bool failed_ = false;
};

}  // namespace penstock::gateway
