#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "adapters/rocksdb/byte_codec.h"
#include "domain/ids.h"
#include "domain/instant.h"

/// Where everything is stored, one column family each:
///
///   default        a name below       -> facts about the run
///   active         id                 -> order that is not terminal
///   idempotency    tenant 0 key       -> what completed under the key
///   buckets        tenant             -> level of the bucket; also the list of tenants with orders
///   stock          tenant 0 product   -> received and sold
///   changes        sequence           -> newer values of buckets and stock (changes_log.h)
///   tenants        tenant             -> contract
///   outbox         'b' sequence       -> terminal batch that is not worked off
///                  'w' id             -> webhook delivery that is not over
///   listed         'd' id             -> dead letter, open or compensated
///                  'r' id             -> refund that is owed
///   orders-YYYY-MM 'o' id             -> terminal order with its receipt
///                  't' tenant 0 id    -> its status
///                  'n' sequence       -> when the terminal batch was worked off
///                  'd' id attempt     -> a delivery attempt that ended
///
/// Ids are 16 bytes, sequences 8 and attempts 4, big-endian. A tenant has no zero byte.
namespace penstock::rocksdb_store {

inline constexpr std::uint64_t kLayoutVersion = 2;
/// The one before: without `changes`. A store in it is read, and becomes one of today's when it is
/// opened for writing.
inline constexpr std::uint64_t kLayoutWithoutChanges = 1;
/// Added to the layout of a store that was moved to another one, which is refused by programs that
/// do not know the mark.
inline constexpr std::uint64_t kSealMark = std::uint64_t{1} << 32;
inline constexpr std::string_view kMonthPrefix = "orders-";

namespace meta {
inline constexpr std::string_view kLayout = "layout";
inline constexpr std::string_view kBoot = "boot";
inline constexpr std::string_view kClock = "clock";  ///< written with every batch
inline constexpr std::string_view kRun = "run";
inline constexpr std::string_view kMarks = "marks";
inline constexpr std::string_view kDropped = "dropped";  ///< months of history that were
inline constexpr std::string_view kAgreed = "agreed";    ///< the time to expire by, if the wall
                                                         ///< clock was too far ahead of it
inline constexpr std::string_view kSealed = "sealed";    ///< the store that this one was moved to
}  // namespace meta

inline constexpr char kOrderTag = 'o';
inline constexpr char kTenantTag = 't';
inline constexpr char kNoteTag = 'n';
inline constexpr char kAttemptTag = 'd';
inline constexpr char kBatchTag = 'b';
inline constexpr char kDeliveryTag = 'w';
inline constexpr char kDeadLetterTag = 'd';
inline constexpr char kOwedRefundTag = 'r';
inline constexpr std::size_t kIdBytes = 16;

/// The tag and the id: 'o', 'w', 'd' and 'r' keys.
inline std::string tagged_id_key(char tag, const domain::OrderId& id) {
  std::string key(1, tag);
  key += id.view();
  return key;
}

/// A big-endian sequence: keys of `changes`.
inline std::string changes_key(std::uint64_t sequence) {
  ByteWriter out;
  out.big64(sequence);
  return std::string(out.view());
}

/// The tag and a big-endian sequence: 'b' and 'n' keys.
inline std::string sequence_key(char tag, std::uint64_t sequence) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(tag));
  out.big64(sequence);
  return std::string(out.view());
}

/// tenant 0 name: stock and idempotency keys.
inline std::string scoped_key(std::string_view tenant, std::string_view name) {
  std::string key;
  key.reserve(tenant.size() + 1 + name.size());
  key += tenant;
  key += '\0';
  key += name;
  return key;
}

/// The tenant and the name of a scoped key; nothing where it has no separator.
inline std::optional<std::pair<std::string, std::string>> scope_of(std::string_view key) {
  const std::size_t separator = key.find('\0');
  if (separator == std::string_view::npos) return std::nullopt;
  return std::pair{std::string(key.substr(0, separator)), std::string(key.substr(separator + 1))};
}

/// A key as operators are told of it.
inline std::string hexadecimal(std::string_view key) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * key.size());
  for (const char c : key) {
    const auto byte = static_cast<std::uint8_t>(c);
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xFU];
  }
  return text;
}

/// 't' tenant 0: what a tenant's index entries begin with.
inline std::string tenant_index_prefix(std::string_view tenant) {
  std::string key(1, kTenantTag);
  key += tenant;
  key += '\0';
  return key;
}

/// The id in the last 16 bytes of a key; nothing if it is shorter.
inline std::optional<domain::OrderId> trailing_id(std::string_view key) {
  if (key.size() < kIdBytes) return std::nullopt;
  domain::OrderId::Bytes bytes{};
  key.copy(reinterpret_cast<char*>(bytes.data()), kIdBytes, key.size() - kIdBytes);
  return domain::OrderId(bytes);
}

/// The id of a key that is a tag and an id; nothing for any other key.
inline std::optional<domain::OrderId> id_of_tagged(char tag, std::string_view key) {
  if (key.size() != 1 + kIdBytes || key.front() != tag) return std::nullopt;
  return trailing_id(key);
}

/// The smallest bytes an id of `at`'s millisecond can have; a time before 1970 counts as 1970.
inline domain::OrderId first_id_of(domain::Instant at) {
  const std::uint64_t ms = at.us <= 0 ? 0 : static_cast<std::uint64_t>(at.us) / 1000;
  domain::OrderId::Bytes bytes{};
  for (std::size_t i = 0; i < 6; ++i) bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  return domain::OrderId(bytes);
}

}  // namespace penstock::rocksdb_store
