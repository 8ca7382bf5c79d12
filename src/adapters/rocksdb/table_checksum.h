#pragma once

#include <memory>
#include <string>

#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/metadata.h>

namespace penstock::rocksdb_store {

/// Makes RocksDB record a CRC-32C over every byte of each table that it writes, in its manifest.
/// The checksums of its blocks leave some of a table out: no one looks at all of them.
std::shared_ptr<rocksdb::FileChecksumGenFactory> table_checksums();

/// Reads through a table and compares it with what is recorded of it: every byte, or every data
/// block where no checksum was recorded, as in a table that an earlier version wrote. Reads only.
rocksdb::Status check_table(rocksdb::Env& env, const rocksdb::LiveFileMetaData& table);

}  // namespace penstock::rocksdb_store
