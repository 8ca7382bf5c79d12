#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "adapters/rocksdb/byte_codec.h"
#include "domain/ids.h"
#include "domain/order.h"

/// The stored form of an order. Payload, format 1:
///
///   format | tenant | mask | status, charge, handover | customer | version | created | updated |
///   items | total | payment method | what the mask names | timeline | receipt
///
/// Numbers are varints, times are differences in microseconds (of `created_at` to the id's
/// millisecond, of the others to `created_at`, of an event to the one before). The id is the key's.
namespace penstock::rocksdb_store {

inline constexpr std::uint8_t kOrderFormat = 1;

/// What a record holds beside the order.
struct OrderExtras {
  std::string_view receipt;          ///< exact bytes; empty: none
  std::uint64_t batch_sequence = 0;  ///< of the terminal batch that the order ended in; 0: active
};

/// A decoded record; `extras.receipt` points into the value that was decoded.
struct OrderRecord {
  domain::Order order;
  OrderExtras extras;
};

enum class DecodeError : std::uint8_t { corrupt, unknown_format };

/// Appends the payload of `order`, without the seal.
void encode_order(const domain::Order& order, const OrderExtras& extras, ByteWriter& out);

/// Reads a sealed value that is stored under `key` and belongs to the order `id`. Total: any bytes
/// give a record whose stored form is exactly these bytes, or an error.
std::expected<OrderRecord, DecodeError> decode_order(const domain::OrderId& id,
                                                     std::string_view key, std::string_view value);

/// The tenant of a sealed order record, pointing into `value`, without decoding the rest.
std::expected<std::string_view, DecodeError> tenant_of_order(std::string_view key,
                                                             std::string_view value);

}  // namespace penstock::rocksdb_store
