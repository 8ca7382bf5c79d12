#pragma once

#include <cstdint>
#include <expected>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "checker/event.h"
#include "checker/history.h"
#include "net/json.h"

/// The text form of a history: what clients of a real run asked for and were told, one JSON object
/// a line, in real-time order (docs/history.md). The errors are sentences that name the line.
namespace penstock::cli {

/// Reads a history file, a line at a time. Not thread-safe.
class HistoryFile {
 public:
  /// Opens the file and reads its header, the first line.
  static std::expected<HistoryFile, std::string> open(const std::string& path);

  /// How the history is to be judged: the store and the ledger are known at their ends.
  const checker::HistoryOptions& options() const { return options_; }

  /// The next event, or nothing at the end of the file.
  std::expected<std::optional<checker::Event>, std::string> next();

  /// Whether a line claimed that the world was kind for long enough before the end. Behind the
  /// last event.
  checker::Quiescence quiescence() const { return quiescence_; }
  /// The time of the last event.
  domain::Instant last() const { return last_; }

 private:
  HistoryFile() = default;
  std::expected<std::optional<net::JsonDocument>, std::string> next_line();
  std::string at_line(std::string_view what) const;
  bool is_in_turn(const checker::Occurrence& occurrence);

  std::string path_;
  std::ifstream file_;
  std::string line_;
  std::uint64_t number_ = 0;
  checker::HistoryOptions options_;
  checker::Quiescence quiescence_ = checker::Quiescence::not_claimed;
  domain::Instant last_{INT64_MIN};
  std::unordered_set<std::uint64_t> in_flight_;  ///< operations
};

/// One line of a webhook receiver's file; nothing if it has another form.
std::optional<checker::Delivered> parse_delivery(std::string_view line);

}  // namespace penstock::cli
