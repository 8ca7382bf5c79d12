#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rocksdb/env.h>

namespace penstock::rocksdb_store {

/// A table that the manifest names, with what it records of it.
struct LiveTable {
  std::string path;
  std::string family;
  std::uint64_t size = 0;
  std::string checksum;       ///< empty where none was recorded
  std::string checksum_name;  ///< of the function that made it

  bool operator==(const LiveTable&) const = default;
};

struct LiveFiles {
  std::uint64_t manifest = 0;  ///< the number of the one that CURRENT names
  std::uint64_t manifest_bytes = 0;
  std::uint64_t last_sequence = 0;  ///< of the writes that the manifest knows of
  std::uint64_t first_log = 0;      ///< the logs before it are flushed

  /// The write-ahead logs that RocksDB replays when it opens the database, oldest first: those that
  /// the manifest does not call flushed.
  std::vector<std::string> logs;
  std::vector<LiveTable> tables;  ///< oldest first
};

/// The number in the path of a write-ahead log, "DIR/000012.log", or of a manifest,
/// "DIR/MANIFEST-000005".
std::optional<std::uint64_t> number_of_log(std::string_view path);
std::optional<std::uint64_t> number_of_manifest(std::string_view path);

/// What RocksDB opens with the database at `path`, as its manifest says. Reads only.
///
/// Fails with Corruption where the manifest is damaged, its last record included, unless that was
/// torn: RocksDB takes a record for torn whose length is wrong, anywhere in the manifest, forgets
/// what is behind it, and then deletes the tables and logs that it does not know of.
std::expected<LiveFiles, rocksdb::Status> live_files(rocksdb::Env& env, const std::string& path);

}  // namespace penstock::rocksdb_store
