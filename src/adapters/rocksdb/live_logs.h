#pragma once

#include <expected>
#include <string>
#include <vector>

#include <rocksdb/env.h>

namespace penstock::rocksdb_store {

/// The write-ahead logs that RocksDB replays when it opens the database at `path`, oldest first:
/// those that its manifest does not call flushed. Where the manifest cannot be read to its end the
/// list may hold flushed ones too. Reads only.
std::expected<std::vector<std::string>, rocksdb::Status> live_logs(rocksdb::Env& env,
                                                                   const std::string& path);

}  // namespace penstock::rocksdb_store
