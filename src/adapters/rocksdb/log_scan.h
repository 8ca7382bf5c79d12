#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "adapters/rocksdb/rocks_store_options.h"

namespace rocksdb {
class Env;
}

namespace penstock::rocksdb_store {

/// Tells damage of an acknowledged record in the write-ahead logs at `path` from a torn write.
/// RocksDB ends its replay at either, and what was acknowledged behind damage would be gone.
///
/// One thread writes, and a record is synced before the next one is begun. So a damaged record with
/// an intact one behind it, in its log or a later one, was synced: that is store_corrupt, and the
/// detail names the log and the offset. Damage with nothing intact behind it is a torn write, for
/// RocksDB to cut off; so is damage that a later log goes on from (its first sequence number is the
/// one that was due there), since an earlier start has cut it off already. Logs that the manifest
/// says are flushed are neither replayed nor judged.
///
/// A manifest that is damaged, and not torn, is store_corrupt as well (live_files.h).
///
/// Reads the logs once, and writes nothing. Returns the sequence number of the last write that
/// the manifest or a log has, 0 where there is none. Fails with store_failed where a file cannot be
/// read.
std::expected<std::uint64_t, OpenError> check_logs(rocksdb::Env& env, const std::string& path);

}  // namespace penstock::rocksdb_store
