#include "adapters/rocksdb/store_witness.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "adapters/rocksdb/byte_codec.h"
#include "adapters/rocksdb/live_files.h"

namespace penstock::rocksdb_store {
namespace {

using domain::ErrorCode;
using rocksdb::Status;

constexpr std::string_view kTitle = "penstock witness 1";
constexpr std::string_view kChecksum = "crc ";

std::string text_of(const Witness& witness) {
  std::string text =
      fmt::format("{}\nidentity {}\nsequence {}\nmanifest {} {}\n", kTitle, witness.identity,
                  witness.sequence, witness.manifest, witness.manifest_bytes);
  for (const auto& [number, bytes] : witness.logs)
    text += fmt::format("log {} {}\n", number, bytes);
  for (const auto& [name, bytes] : witness.companions) {
    text += fmt::format("file {} {}\n", bytes, name);
  }
  return text + fmt::format("{}{:08x}\n", kChecksum, crc32c(0, text));
}

std::string directory_of(const std::string& file) {
  std::string above = std::filesystem::path(file).parent_path();
  return above.empty() ? "." : above;
}

/// The next word of a line; "" at its end.
std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::optional<std::uint64_t> take_number(std::string_view& line) {
  const std::string_view word = take_word(line);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return number;
}

bool take_line(std::string_view line, Witness& witness) {
  const std::string_view name = take_word(line);
  if (name == "identity") {
    witness.identity = line;
    return true;
  }
  const auto first = take_number(line);
  if (!first) return false;
  if (name == "sequence") {
    witness.sequence = *first;
    return true;
  }
  if (name == "file") {
    witness.companions[std::string(line)] = *first;
    return true;
  }
  const auto bytes = take_number(line);
  if (!bytes) return false;
  if (name == "manifest") {
    witness.manifest = *first;
    witness.manifest_bytes = *bytes;
    return true;
  }
  if (name == "log") witness.logs[*first] = *bytes;
  return name == "log";
}

std::optional<Witness> parse(std::string_view text) {
  const std::size_t checksum = text.rfind(kChecksum);
  if (checksum == std::string_view::npos) return std::nullopt;
  const std::string_view body = text.substr(0, checksum);
  if (text.substr(checksum) != fmt::format("{}{:08x}\n", kChecksum, crc32c(0, body))) {
    return std::nullopt;
  }
  Witness witness;
  bool has_title = false;
  for (std::string_view rest = body; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    const bool is_known = has_title ? take_line(line, witness) : line == kTitle;
    if (!is_known) return std::nullopt;
    has_title = true;
  }
  return has_title ? std::optional(std::move(witness)) : std::nullopt;
}

OpenError incomplete(const std::string& path, std::string_view what) {
  return {ErrorCode::store_incomplete,
          fmt::format("{}; what was acknowledged is in what is missing. Restore the whole data "
                      "directory from a backup. To go on without them, remove {}",
                      what, witness_path(path))};
}

std::expected<void, OpenError> check_identity(rocksdb::Env& env, const std::string& path,
                                              const Witness& witness) {
  std::string identity;
  const Status read = rocksdb::ReadFileToString(&env, path + "/IDENTITY", &identity);
  while (identity.ends_with('\n')) identity.pop_back();
  if (read.ok() && identity == witness.identity) return {};
  return std::unexpected(OpenError{
      ErrorCode::store_incomplete,
      fmt::format("{}/IDENTITY {}, and {} says {}. Either file is of another store: put the "
                  "files of one backup together. If IDENTITY alone was lost, write that text to it",
                  path, read.ok() ? fmt::format("says {}", identity) : "is missing",
                  witness_path(path), witness.identity)});
}

}  // namespace

std::string witness_path(const std::string& path) {
  std::string_view plain = path;
  while (plain.size() > 1 && plain.ends_with('/')) plain.remove_suffix(1);
  const std::string beside = std::string(plain) + ".witness";
  if (::access(directory_of(beside).c_str(), W_OK) == 0) return beside;
  return errno == EACCES || errno == EROFS ? std::string(plain) + "/WITNESS" : beside;
}

std::expected<std::optional<Witness>, OpenError> read_witness(rocksdb::Env& env,
                                                              const std::string& path) {
  const std::string file = witness_path(path);
  std::string text;
  const Status exists = env.FileExists(file);
  if (exists.IsNotFound()) return std::nullopt;
  const Status status = rocksdb::ReadFileToString(&env, file, &text);
  if (!status.ok()) {
    return std::unexpected(
        OpenError{ErrorCode::store_failed, fmt::format("{}: {}", file, status.ToString())});
  }
  auto witness = parse(text);
  if (witness) return witness;
  return std::unexpected(
      OpenError{ErrorCode::store_corrupt,
                fmt::format("{} is damaged. It says which files the store must have: check that "
                            "none is missing, then remove it; the next start writes it anew",
                            file)});
}

Status write_witness(rocksdb::Env& env, const std::string& path, const Witness& witness) {
  const std::string file = witness_path(path);
  const std::string next = file + ".next";
  Status status = rocksdb::WriteStringToFile(&env, text_of(witness), next, true);
  if (!status.ok()) return status;
  if (status = env.RenameFile(next, file); !status.ok()) return status;
  std::unique_ptr<rocksdb::Directory> directory;
  if (status = env.NewDirectory(directory_of(file), &directory); !status.ok()) return status;
  return directory->Fsync();
}

std::map<std::string, std::uint64_t> sizes_of(const std::vector<std::string>& companions) {
  std::map<std::string, std::uint64_t> sizes;
  for (const std::string& file : companions) {
    std::error_code absent;
    const auto bytes = std::filesystem::file_size(file, absent);
    if (!absent) sizes[std::filesystem::path(file).filename()] = bytes;
  }
  return sizes;
}

std::expected<void, OpenError> check_companions(const std::string& path,
                                                const std::optional<Witness>& witness,
                                                bool has_store,
                                                const std::vector<std::string>& companions) {
  const auto sizes = sizes_of(companions);
  for (const std::string& file : companions) {
    const std::string name = std::filesystem::path(file).filename();
    const auto found = sizes.find(name);
    const std::uint64_t bytes = found == sizes.end() ? 0 : found->second;
    if (!witness && !has_store && bytes > 0) {
      return std::unexpected(OpenError{
          ErrorCode::store_incomplete,
          fmt::format("{} has {} bytes, and {} has no store: the orders that it tells of are gone. "
                      "Restore the whole data directory from a backup. To begin anew, move the "
                      "file away",
                      file, bytes, path)});
    }
    if (!witness) continue;
    const auto least = witness->companions.find(name);
    if (least == witness->companions.end() || bytes >= least->second) continue;
    return std::unexpected(incomplete(
        path, fmt::format("{} {}, and it had {} bytes", file,
                          found == sizes.end() ? "is missing" : fmt::format("has {}", bytes),
                          least->second)));
  }
  return {};
}

OpenError store_is_gone(const std::string& path) {
  return incomplete(path, fmt::format("{} has no store (no CURRENT file), and {} says that it had "
                                      "one",
                                      path, witness_path(path)));
}

std::expected<void, OpenError> check_witness(rocksdb::Env& env, const std::string& path,
                                             const Witness& witness, std::uint64_t last_sequence) {
  if (auto same = check_identity(env, path, witness); !same) return same;
  const auto files = live_files(env, path);
  if (!files) {
    return std::unexpected(
        OpenError{ErrorCode::store_corrupt, fmt::format("{}: {}", path, files.error().ToString())});
  }
  if (files->manifest < witness.manifest) {
    return std::unexpected(incomplete(
        path, fmt::format("{}/CURRENT names MANIFEST-{:06}, and MANIFEST-{:06} was the newest",
                          path, files->manifest, witness.manifest)));
  }
  if (files->manifest == witness.manifest && files->manifest_bytes < witness.manifest_bytes) {
    return std::unexpected(incomplete(
        path, fmt::format("{}/MANIFEST-{:06} has {} bytes, and it had {}", path, files->manifest,
                          files->manifest_bytes, witness.manifest_bytes)));
  }
  for (const auto& [number, least] : witness.logs) {
    if (number < files->first_log) continue;
    const std::string log = fmt::format("{}/{:06}.log", path, number);
    std::uint64_t bytes = 0;
    if (const Status read = env.GetFileSize(log, &bytes); !read.ok()) {
      return std::unexpected(
          incomplete(path, fmt::format("the write-ahead log {} is missing", log)));
    }
    if (bytes >= least) continue;
    return std::unexpected(incomplete(
        path,
        fmt::format("the write-ahead log {} has {} bytes, and it had {}", log, bytes, least)));
  }
  if (last_sequence >= witness.sequence) return {};
  return std::unexpected(
      incomplete(path, fmt::format("the last write in {} has the number {}, and the number {} was "
                                   "acknowledged",
                                   path, last_sequence, witness.sequence)));
}

}  // namespace penstock::rocksdb_store
