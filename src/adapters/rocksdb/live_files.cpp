#include "adapters/rocksdb/live_files.h"

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
constexpr std::uint64_t kChecksumOfFile = 7;
constexpr std::uint64_t kChecksumNameOfFile = 8;
/// The family that every database has; nothing adds it.
constexpr std::string_view kFirstFamily = "default";

std::uint64_t fixed64(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  }
  return value;
}

/// A table as a manifest names it.
struct NewFile {
  std::uint64_t number = 0;
  std::uint64_t family = 0;
  LiveTable table;
  std::optional<std::uint64_t> first_log;  ///< that is kept from here on
};

NewFile read_new_file(ByteReader& in) {
  NewFile file;
  in.varint();  // level
  file.number = in.varint();
  file.table.size = in.varint();
  in.text();  // first and last key
  in.text();
  in.varint();  // first and last sequence number
  in.varint();
  for (auto tag = in.varint(); in.ok() && tag != kEndOfFile; tag = in.varint()) {
    const std::string_view bytes = in.text();
    if (tag == kMinLogNumberOfFile && bytes.size() == sizeof(std::uint64_t)) {
      file.first_log = fixed64(bytes);
    }
    if (tag == kChecksumOfFile) file.table.checksum = bytes;
    if (tag == kChecksumNameOfFile) file.table.checksum_name = bytes;
  }
  return file;
}

/// What the edits of a manifest say of the files.
class Manifest {
 public:
  void apply(std::string_view edit);
  /// The number of the first log to replay: the families have flushed the ones before it.
  std::uint64_t first_log() const {
    std::uint64_t unflushed = std::numeric_limits<std::uint64_t>::max();
    for (const auto& [number, family] : families_) {
      unflushed = std::min(unflushed, family.first_log);
    }
    return families_.empty() ? first_kept_ : std::max(first_kept_, unflushed);
  }
  std::vector<LiveTable> tables(const std::string& path) const;
  std::uint64_t last_sequence() const { return last_sequence_; }

 private:
  struct Family {
    std::string name = std::string(kFirstFamily);
    std::uint64_t first_log = 0;  ///< the first with unflushed data
  };
  struct Edit;

  void finish(Edit& edit);

  std::uint64_t first_kept_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::map<std::uint64_t, Family> families_;
  std::map<std::uint64_t, NewFile> files_;  ///< by number
};

struct Manifest::Edit {
  std::uint64_t family = 0;
  std::uint64_t log = 0;
  bool drops_family = false;
  std::string name;  ///< of a family that is added
  std::vector<std::uint64_t> deleted;
  std::vector<NewFile> added;
};

void Manifest::apply(std::string_view bytes) {
  ByteReader in(bytes);
  Edit edit;
  while (in.ok() && in.remaining() > 0) {
    const std::uint64_t field = in.varint();
    switch (field) {
      case kLogNumber:
        edit.log = in.varint();
        break;
      case kColumnFamily:
        edit.family = in.varint();
        break;
      case kColumnFamilyDrop:
        edit.drops_family = true;
        break;
      case kMinLogNumberToKeep:
        first_kept_ = std::max(first_kept_, in.varint());
        break;
      case kNewFile:
        edit.added.push_back(read_new_file(in));
        break;
      case kDeletedFile:
        in.varint();  // level
        edit.deleted.push_back(in.varint());
        break;
      case kLastSequence:
        last_sequence_ = std::max(last_sequence_, in.varint());
        break;
      case kNextFileNumber:
      case kPreviousLogNumber:
      case kMaxColumnFamily:
      case kInAtomicGroup:
        in.varint();
        break;
      case kCompactCursor:
        in.varint();
        in.text();
        break;
      case kColumnFamilyAdd:
        edit.name = in.text();
        break;
      case kComparator:
        in.text();
        break;
      default:
        // RocksDB refuses a field that it does not know either.
        if ((field & kSkippableField) == 0) return;
        in.text();
    }
  }
  finish(edit);
}

void Manifest::finish(Edit& edit) {
  Family& family = families_[edit.family];
  family.first_log = std::max(family.first_log, edit.log);
  if (!edit.name.empty()) family.name = edit.name;
  // A table that moves to another level is deleted and added by one edit.
  for (const std::uint64_t number : edit.deleted) files_.erase(number);
  for (NewFile& file : edit.added) {
    first_kept_ = std::max(first_kept_, file.first_log.value_or(0));
    file.family = edit.family;
    files_[file.number] = std::move(file);
  }
  if (!edit.drops_family) return;
  families_.erase(edit.family);
  std::erase_if(files_, [&](const auto& file) { return file.second.family == edit.family; });
}

std::vector<LiveTable> Manifest::tables(const std::string& path) const {
  std::vector<LiveTable> tables;
  for (const auto& [number, file] : files_) {
    LiveTable table = file.table;
    table.path = fmt::format("{}/{:06}.sst", path, number);
    const auto family = families_.find(file.family);
    if (family != families_.end()) table.family = family->second.name;
    tables.push_back(std::move(table));
  }
  return tables;
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

/// The name of the file that CURRENT names.
std::expected<std::string, rocksdb::Status> manifest_name(rocksdb::Env& env,
                                                          const std::string& path) {
  std::string name;
  rocksdb::Status status = rocksdb::ReadFileToString(&env, path + "/CURRENT", &name);
  if (!status.ok()) return std::unexpected(std::move(status));
  while (name.ends_with('\n')) name.pop_back();
  return name;
}

std::expected<Manifest, rocksdb::Status> read_manifest(rocksdb::Env& env, const std::string& path,
                                                       const std::string& name) {
  auto reader = LogReader::open(env, path + "/" + name);
  if (!reader) return std::unexpected(reader.error());
  rocksdb::Status status;
  Manifest manifest;
  std::string edit;
  while (true) {
    const auto position = reader->next();
    if (!position) return std::unexpected(position.error());
    if (*position == LogPosition::damage) {
      status = check_end(*reader, name);
      if (!status.ok()) return std::unexpected(std::move(status));
    }
    // RocksDB forgets an edit that was cut off as well.
    if (*position != LogPosition::fragment) return manifest;
    const Fragment& fragment = reader->fragment();
    if (fragment.begins_record()) edit.clear();
    edit += fragment.payload;
    if (fragment.type == FragmentType::full || fragment.type == FragmentType::last) {
      manifest.apply(edit);
    }
  }
}

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<std::uint64_t> number_of_log(std::string_view path) {
  constexpr std::string_view kSuffix = ".log";
  path.remove_prefix(path.rfind('/') + 1);
  if (!path.ends_with(kSuffix)) return std::nullopt;
  path.remove_suffix(kSuffix.size());
  return number_in(path);
}

std::optional<std::uint64_t> number_of_manifest(std::string_view path) {
  constexpr std::string_view kPrefix = "MANIFEST-";
  path.remove_prefix(path.rfind('/') + 1);
  if (!path.starts_with(kPrefix)) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  return number_in(path);
}

std::expected<LiveFiles, rocksdb::Status> live_files(rocksdb::Env& env, const std::string& path) {
  const auto current = manifest_name(env, path);
  if (!current) return std::unexpected(current.error());
  const auto manifest = read_manifest(env, path, *current);
  if (!manifest) return std::unexpected(manifest.error());
  std::uint64_t manifest_bytes = 0;
  rocksdb::Status status = env.GetFileSize(path + "/" + *current, &manifest_bytes);
  if (!status.ok()) return std::unexpected(std::move(status));
  std::vector<std::string> names;
  status = env.GetChildren(path, &names);
  if (!status.ok()) return std::unexpected(std::move(status));
  const std::uint64_t first = manifest->first_log();
  std::map<std::uint64_t, std::string> logs;
  for (const std::string& name : names) {
    const auto number = number_of_log(name);
    if (number && *number >= first) logs[*number] = fmt::format("{}/{}", path, name);
  }
  LiveFiles files{.manifest = number_of_manifest(*current).value_or(0),
                  .manifest_bytes = manifest_bytes,
                  .last_sequence = manifest->last_sequence(),
                  .first_log = first,
                  .logs = {},
                  .tables = manifest->tables(path)};
  for (auto& [number, log] : logs) files.logs.push_back(std::move(log));
  return files;
}

}  // namespace penstock::rocksdb_store
