#include "adapters/rocksdb/write_set.h"

#include <algorithm>
#include <ranges>

namespace penstock::rocksdb_store {
namespace {

std::uint64_t head_of(std::string_view key) {
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < sizeof head; ++i) {
    head = head << 8 | (i < key.size() ? static_cast<std::uint8_t>(key[i]) : 0U);
  }
  return head;
}

}  // namespace

void WriteSet::begin(Family family, std::string_view key) {
  operations_.push_back({.family = family,
                         .family_id = family->GetID(),
                         .kind = Kind::put,
                         .key_head = head_of(key),
                         .key_at = static_cast<std::uint32_t>(bytes_.size()),
                         .key_size = static_cast<std::uint32_t>(key.size()),
                         .sequence = static_cast<std::uint32_t>(operations_.size())});
  bytes_.raw(key);
}

void WriteSet::end() {
  Operation& operation = operations_.back();
  // Key and payload lie side by side, so that one pass seals both.
  bytes_.fixed32(crc32c(0, bytes_.view(operation.key_at)));
  operation.value_size =
      static_cast<std::uint32_t>(bytes_.size()) - operation.key_at - operation.key_size;
}

void WriteSet::remove(Family family, std::string_view key, Removal removal) {
  begin(family, key);
  operations_.back().kind = removal == Removal::any ? Kind::remove : Kind::remove_once;
}

std::optional<std::string_view> WriteSet::find(Family family, std::string_view key) const {
  for (const Operation& operation : operations_ | std::views::reverse) {
    if (operation.family != family || key_of(operation) != key) continue;
    if (operation.kind != Kind::put) return std::nullopt;
    return value_of(operation);
  }
  return std::nullopt;
}

void WriteSet::clear() {
  bytes_.clear();
  operations_.clear();
}

bool WriteSet::is_before(const Operation& left, const Operation& right) const {
  if (left.family_id != right.family_id) return left.family_id < right.family_id;
  if (left.key_head != right.key_head) return left.key_head < right.key_head;
  if (const int order = key_of(left).compare(key_of(right)); order != 0) return order < 0;
  return left.sequence < right.sequence;
}

rocksdb::Status WriteSet::move_into(rocksdb::WriteBatch& batch) {
  std::ranges::sort(operations_, [this](const Operation& left, const Operation& right) {
    return is_before(left, right);
  });
  for (const Operation& operation : operations_) {
    const rocksdb::Slice key = key_of(operation);
    rocksdb::Status status;
    switch (operation.kind) {
      case Kind::put:
        status = batch.Put(operation.family, key, rocksdb::Slice(value_of(operation)));
        break;
      case Kind::remove:
        status = batch.Delete(operation.family, key);
        break;
      case Kind::remove_once:
        status = batch.SingleDelete(operation.family, key);
        break;
    }
    if (!status.ok()) return status;
  }
  return rocksdb::Status::OK();
}

}  // namespace penstock::rocksdb_store
