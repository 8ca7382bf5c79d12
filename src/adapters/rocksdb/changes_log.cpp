#include "adapters/rocksdb/changes_log.h"

#include "adapters/rocksdb/byte_codec.h"

namespace penstock::rocksdb_store {

bool StoredChanges::add(std::string_view key, std::string_view value) {
  ByteReader number(key);
  const std::uint64_t sequence = number.big64();
  const auto record = decode<ChangesRecord>(key, value);
  if (!number.done() || !record) return false;
  for (const ChangesRecord::Stock& row : record->stock) {
    stock_.insert_or_assign(std::string(row.key), row.totals);
  }
  for (const ChangesRecord::Bucket& row : record->buckets) {
    buckets_.insert_or_assign(
        std::string(row.tenant),
        BucketRecord{.contract = row.contract, .state = row.state, .at = record->at});
  }
  sequences_.push_back(sequence);
  return true;
}

}  // namespace penstock::rocksdb_store
