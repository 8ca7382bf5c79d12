#pragma once

#include <expected>
#include <string>
#include <vector>

#include <rocksdb/env.h>

namespace penstock::rocksdb_store {

/// The write-ahead logs that RocksDB replays when it opens the database at `path`, oldest first:
/// those that its manifest does not call flushed. Reads only.
///
/// Fails with Corruption where the manifest is damaged, its last record included, unless that was
/// torn: RocksDB takes a record for torn whose length is wrong, anywhere in the manifest, forgets
/// what is behind it, and then deletes the tables and logs that it does not know of.
std::expected<std::vector<std::string>, rocksdb::Status> live_logs(rocksdb::Env& env,
                                                                   const std::string& path);

}  // namespace penstock::rocksdb_store
