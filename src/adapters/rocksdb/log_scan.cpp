#include "adapters/rocksdb/log_scan.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <rocksdb/env.h>

#include "adapters/rocksdb/live_files.h"
#include "adapters/rocksdb/log_records.h"

namespace penstock::rocksdb_store {
namespace {

using domain::ErrorCode;

/// What a write batch begins with: its sequence number, 8 bytes, and the count of its operations,
/// 4 bytes, little-endian.
constexpr std::size_t kSequenceBytes = 8;
constexpr std::size_t kBatchHeaderBytes = 12;
constexpr std::uint64_t kMaxSequence = (std::uint64_t{1} << 56) - 1;

struct Damage {
  std::string log;
  std::uint64_t offset = 0;
};

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  }
  return value;
}

std::uint64_t sequence_of(std::string_view batch) {
  return little_endian(batch.substr(0, kSequenceBytes));
}

OpenError unreadable(const std::string& file, const rocksdb::Status& status) {
  const ErrorCode code = status.IsCorruption() ? ErrorCode::store_corrupt : ErrorCode::store_failed;
  return {code, fmt::format("{}: {}", file, status.ToString())};
}

class LogScan {
 public:
  explicit LogScan(rocksdb::Env& env) : env_(env) {}

  /// Logs come in the order of their numbers.
  std::expected<void, OpenError> scan(const std::string& log);

  /// Of the last intact write; 0 where none was read.
  std::uint64_t last_sequence() const {
    return next_sequence_.value_or(0) == 0 ? 0 : *next_sequence_ - 1;
  }

 private:
  std::expected<void, OpenError> read(LogReader& reader, const std::string& log);
  std::expected<void, OpenError> pass_damage(LogReader& reader, const Damage& damage);
  std::expected<void, OpenError> begin_record(const Fragment& fragment);
  std::expected<void, OpenError> end_record();
  /// Whether a fragment behind damage begins a record that was written there, and is not bytes
  /// inside the damaged one that look so: those hardly have the sequence number that is due.
  bool follows(const Fragment& fragment, const Damage& damage) const;

  static OpenError corrupt(const Damage& damage, std::string_view behind) {
    return {ErrorCode::store_corrupt,
            fmt::format("the record at offset {} of the log {} is damaged, and {} behind it is not",
                        damage.offset, damage.log, behind)};
  }

  rocksdb::Env& env_;
  std::optional<std::uint64_t> next_sequence_;  ///< that is due, once a record was read
  std::optional<Damage> cut_;                   ///< nothing intact is known behind it yet
  std::string header_;                          ///< of the record in hand, as far as it was read
  std::optional<std::uint64_t> begun_;          ///< offset of a record that has not ended
};

std::expected<void, OpenError> LogScan::scan(const std::string& log) {
  auto reader = LogReader::open(env_, log);
  if (!reader) {
    // Removed since it was listed: whoever did that has the store open.
    if (reader.error().IsNotFound() || reader.error().IsPathNotFound()) return {};
    return std::unexpected(unreadable(log, reader.error()));
  }
  begun_.reset();
  return read(*reader, log);
}

std::expected<void, OpenError> LogScan::read(LogReader& reader, const std::string& log) {
  while (true) {
    const auto position = reader.next();
    if (!position) return std::unexpected(unreadable(log, position.error()));
    if (*position == LogPosition::end) {
      if (begun_ && !cut_) cut_ = {.log = log, .offset = *begun_};
      return {};
    }
    if (*position == LogPosition::damage) {
      return pass_damage(reader, {.log = log, .offset = begun_.value_or(reader.offset())});
    }
    const Fragment& fragment = reader.fragment();
    if (fragment.begins_record() && begun_) {
      return std::unexpected(
          corrupt({.log = log, .offset = *begun_}, fmt::format("a record at {}", fragment.offset)));
    }
    if (!fragment.begins_record() && !begun_) {
      return pass_damage(reader, {.log = log, .offset = fragment.offset});
    }
    if (fragment.begins_record()) {
      if (auto begun = begin_record(fragment); !begun) return begun;
    }
    header_ += fragment.payload.substr(0, kBatchHeaderBytes - header_.size());
    const bool is_whole =
        fragment.type == FragmentType::full || fragment.type == FragmentType::last;
    if (!is_whole) continue;
    if (header_.size() < kBatchHeaderBytes) return pass_damage(reader, {log, *begun_});
    if (auto ended = end_record(); !ended) return ended;
  }
}

std::expected<void, OpenError> LogScan::begin_record(const Fragment& fragment) {
  begun_ = fragment.offset;
  header_.clear();
  // Whether or not all of it is there: it was begun, so that what is before it was synced.
  const bool goes_on = fragment.payload.size() < kBatchHeaderBytes ||
                       next_sequence_ == sequence_of(fragment.payload);
  if (cut_ && !goes_on) return std::unexpected(corrupt(*cut_, "a later log"));
  return {};
}

std::expected<void, OpenError> LogScan::end_record() {
  const std::uint64_t sequence = sequence_of(header_);
  if (cut_ && next_sequence_ != sequence) return std::unexpected(corrupt(*cut_, "a later log"));
  cut_.reset();
  next_sequence_ = sequence + little_endian(std::string_view(header_).substr(kSequenceBytes));
  begun_.reset();
  return {};
}

std::expected<void, OpenError> LogScan::pass_damage(LogReader& reader, const Damage& damage) {
  while (true) {
    const auto found = reader.search();
    if (!found) return std::unexpected(unreadable(damage.log, found.error()));
    if (!*found) break;
    if (follows(reader.fragment(), damage)) {
      return std::unexpected(
          corrupt(damage, fmt::format("a record at {}", reader.fragment().offset)));
    }
  }
  if (!cut_) cut_ = damage;
  return {};
}

bool LogScan::follows(const Fragment& fragment, const Damage& damage) const {
  if (!fragment.begins_record()) return false;
  if (fragment.payload.size() < kBatchHeaderBytes) return fragment.type == FragmentType::first;
  const std::uint64_t sequence = sequence_of(fragment.payload);
  if (!next_sequence_ || cut_) return sequence <= kMaxSequence;
  // Every number between took at least a byte of the log.
  return sequence >= *next_sequence_ &&
         sequence - *next_sequence_ <= fragment.offset - damage.offset;
}

}  // namespace

std::expected<std::uint64_t, OpenError> check_logs(rocksdb::Env& env, const std::string& path) {
  const auto files = live_files(env, path);
  if (!files) return std::unexpected(unreadable(path, files.error()));
  LogScan scan(env);
  for (const std::string& log : files->logs) {
    if (auto done = scan.scan(log); !done) return std::unexpected(done.error());
  }
  return std::max(files->last_sequence, scan.last_sequence());
}

}  // namespace penstock::rocksdb_store
