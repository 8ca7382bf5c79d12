#pragma once

#include <cstdint>
#include <memory>

#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>

#include "adapters/rocksdb/live_files.h"

namespace penstock::rocksdb_store {

/// Makes RocksDB record two CRC-32C of each table that it writes, in its manifest: one over every
/// byte, one over the last kTableEndBytes. The checksums of its blocks are not enough: nothing
/// looks at all of them, and the properties of a table are read before theirs is, by code that ends
/// the process where it meets what it does not expect.
std::shared_ptr<rocksdb::FileChecksumGenFactory> table_checksums();

/// Holds what RocksDB reads when it opens a table: footer, properties and the roots of its indexes.
inline constexpr std::size_t kTableEndBytes = 4U << 10;

/// `end` reads the last kTableEndBytes of a table, `whole` all of it.
enum class TableCheck : std::uint8_t { end, whole };

/// Compares a table with what is recorded of it. One without a checksum, as an earlier version
/// wrote it, is judged by its size and, for `whole`, by the checksums of its blocks. Reads only.
rocksdb::Status check_table(rocksdb::Env& env, const LiveTable& table, TableCheck check);

}  // namespace penstock::rocksdb_store
