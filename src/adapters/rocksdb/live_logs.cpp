#include "adapters/rocksdb/live_logs.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "adapters/rocksdb/byte_codec.h"
#include "adapters/rocksdb/log_records.h"

namespace penstock::rocksdb_store {
namespace {

/// The fields of a version edit, which is what a record of the manifest holds: a number that says
/// which, and what follows.
enum Field : std::uint64_t {
  kComparator = 1,
  kLogNumber = 2,
  kNextFileNumber = 3,
  kLastSequence = 4,
  kCompactCursor = 5,
  kDeletedFile = 6,
  kPreviousLogNumber = 9,
  kMinLogNumberToKeep = 10,
  kNewFile = 103,
  kColumnFamily = 200,
  kColumnFamilyAdd = 201,
  kColumnFamilyDrop = 202,
  kMaxColumnFamily = 203,
  kInAtomicGroup = 300,
};
/// Fields with this bit are a length and bytes.
constexpr std::uint64_t kSkippableField = 1U << 13;
/// What follows the fixed part of kNewFile, up to kEndOfFile.
constexpr std::uint64_t kEndOfFile = 1;
constexpr std::uint64_t kMinLogNumberOfFile = 3;

std::uint64_t fixed64(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  }
  return value;
}

/// Takes a new file off the edit; what it says of the first log, if it does.
std::optional<std::uint64_t> read_new_file(ByteReader& in) {
  for (int number = 0; number < 3; ++number) in.varint();  // level, number, size
  in.text();                                               // first and last key
  in.text();
  in.varint();  // first and last sequence number
  in.varint();
  std::optional<std::uint64_t> first;
  for (auto tag = in.varint(); in.ok() && tag != kEndOfFile; tag = in.varint()) {
    const std::string_view bytes = in.text();
    if (tag == kMinLogNumberOfFile && bytes.size() == sizeof(std::uint64_t)) first = fixed64(bytes);
  }
  return first;
}

/// What the edits of a manifest say of the logs.
class LogNumbers {
 public:
  void apply(std::string_view edit);
  /// The number of the first log to replay: the families have flushed the ones before it.
  std::uint64_t first() const {
    std::uint64_t unflushed = std::numeric_limits<std::uint64_t>::max();
    for (const auto& [family, log] : of_family_) unflushed = std::min(unflushed, log);
    return of_family_.empty() ? first_kept_ : std::max(first_kept_, unflushed);
  }

 private:
  std::uint64_t first_kept_ = 0;
  std::map<std::uint64_t, std::uint64_t> of_family_;  ///< the first with unflushed data
};

void LogNumbers::apply(std::string_view edit) {
  ByteReader in(edit);
  std::uint64_t family = 0;
  std::uint64_t log = 0;
  bool is_dropped = false;
  while (in.ok() && in.remaining() > 0) {
    const std::uint64_t field = in.varint();
    switch (field) {
      case kLogNumber:
        log = in.varint();
        break;
      case kColumnFamily:
        family = in.varint();
        break;
      case kColumnFamilyDrop:
        is_dropped = true;
        break;
      case kMinLogNumberToKeep:
        first_kept_ = std::max(first_kept_, in.varint());
        break;
      case kNewFile:
        first_kept_ = std::max(first_kept_, read_new_file(in).value_or(0));
        break;
      case kNextFileNumber:
      case kLastSequence:
      case kPreviousLogNumber:
      case kMaxColumnFamily:
      case kInAtomicGroup:
        in.varint();
        break;
      case kDeletedFile:
        in.varint();
        in.varint();
        break;
      case kCompactCursor:
        in.varint();
        in.text();
        break;
      case kComparator:
      case kColumnFamilyAdd:
        in.text();
        break;
      default:
        // RocksDB refuses a field that it does not know either.
        if ((field & kSkippableField) == 0) return;
        in.text();
    }
  }
  std::uint64_t& first = of_family_[family];
  first = std::max(first, log);
  if (is_dropped) of_family_.erase(family);
}

rocksdb::Status check_end(LogReader& reader, const std::string& manifest) {
  const std::uint64_t offset = reader.offset();
  const bool is_torn = reader.is_torn();
  const auto found = reader.search();
  if (!found) return found.error();
  if (is_torn && !*found) return {};
  return rocksdb::Status::Corruption(
      fmt::format("the record at offset {} of {} is damaged", offset, manifest));
}

std::expected<std::uint64_t, rocksdb::Status> first_log(rocksdb::Env& env,
                                                        const std::string& path) {
  std::string name;
  rocksdb::Status status = rocksdb::ReadFileToString(&env, path + "/CURRENT", &name);
  if (!status.ok()) return std::unexpected(std::move(status));
  while (name.ends_with('\n')) name.pop_back();
  auto reader = LogReader::open(env, path + "/" + name);
  if (!reader) return std::unexpected(reader.error());
  LogNumbers numbers;
  std::string edit;
  while (true) {
    const auto position = reader->next();
    if (!position) return std::unexpected(position.error());
    if (*position == LogPosition::damage) {
      status = check_end(*reader, name);
      if (!status.ok()) return std::unexpected(std::move(status));
    }
    // RocksDB forgets an edit that was cut off as well.
    if (*position != LogPosition::fragment) return numbers.first();
    const Fragment& fragment = reader->fragment();
    if (fragment.begins_record()) edit.clear();
    edit += fragment.payload;
    if (fragment.type == FragmentType::full || fragment.type == FragmentType::last) {
      numbers.apply(edit);
    }
  }
}

std::optional<std::uint64_t> number_of_log(std::string_view name) {
  constexpr std::string_view kSuffix = ".log";
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace

std::expected<std::vector<std::string>, rocksdb::Status> live_logs(rocksdb::Env& env,
                                                                   const std::string& path) {
  const auto first = first_log(env, path);
  if (!first) return std::unexpected(first.error());
  std::vector<std::string> names;
  rocksdb::Status status = env.GetChildren(path, &names);
  if (!status.ok()) return std::unexpected(std::move(status));
  std::vector<std::pair<std::uint64_t, std::string>> logs;
  for (const std::string& name : names) {
    const auto number = number_of_log(name);
    if (number && *number >= *first) logs.emplace_back(*number, fmt::format("{}/{}", path, name));
  }
  std::ranges::sort(logs);
  std::vector<std::string> paths;
  paths.reserve(logs.size());
  for (auto& [number, log] : logs) paths.push_back(std::move(log));
  return paths;
}

}  // namespace penstock::rocksdb_store
