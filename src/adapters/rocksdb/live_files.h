#pragma once

#include <cstdint>
#include <expected>
#include <string>
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
  /// The write-ahead logs that RocksDB replays when it opens the database, oldest first: those that
  /// the manifest does not call flushed.
  std::vector<std::string> logs;
  std::vector<LiveTable> tables;  ///< oldest first
};

/// What RocksDB opens with the database at `path`, as its manifest says. Reads only.
///
/// Fails with Corruption where the manifest is damaged, its last record included, unless that was
/// torn: RocksDB takes a record for torn whose length is wrong, anywhere in the manifest, forgets
/// what is behind it, and then deletes the tables and logs that it does not know of.
std::expected<LiveFiles, rocksdb::Status> live_files(rocksdb::Env& env, const std::string& path);

}  // namespace penstock::rocksdb_store
