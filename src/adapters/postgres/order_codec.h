#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/postgres/connection.h"
#include "domain/order.h"

/// Orders between their domain form and the types order_facts, order_state and active_records of
/// deploy/postgres. Items, metadata and timelines are JSON arrays there; a metadata string that
/// JSON text cannot carry in PostgreSQL (a zero byte, bytes that are no UTF-8) is {"hex": "..."}.
namespace penstock::postgres_store {

/// The number of the stage that an order in `status` waits for; 0 at the end.
std::int16_t stage_number(domain::Status status);

/// A composite of the type order_facts: what the client gave.
std::string encode_facts(const domain::Order& order);

/// A composite of the type order_state: what a commit changes, with the events after version `read`
/// and, where it is not empty, the receipt.
std::string encode_state(const domain::Order& order, domain::Version read,
                         std::string_view receipt);

using Fields = std::span<const std::optional<std::string_view>>;

/// Reads the fields of one row of active_records; nothing where it has another form than an order
/// that was written.
std::optional<domain::Order> decode_order(Fields fields);

/// The row's columns as fields.
std::vector<std::optional<std::string_view>> fields_of(const Rows& rows, std::size_t row,
                                                       int first_column, int columns);

/// Columns of active_records.
inline constexpr int kRecordColumns = 37;

/// Reads all rows, each a row of active_records; nothing if one is none.
std::optional<std::vector<domain::Order>> decode_orders(const Rows& rows);

}  // namespace penstock::postgres_store
