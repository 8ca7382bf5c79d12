#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "api/cursor.h"
#include "api/order_json.h"
#include "domain/limits.h"
#include "net/json_writer.h"
#include "ports/order_reader.h"

namespace penstock::api {

/// Appends rows, one at least, until `body` has kMaxPageBytes: a page is larger by less than its
/// last row. How many were appended.
template <typename Row, typename Append>
std::size_t append_rows(const std::vector<Row>& rows, const std::string& body, Append append) {
  std::size_t count = 0;
  for (const Row& row : rows) {
    if (count > 0 && body.size() >= domain::limits::kMaxPageBytes) break;
    append(row);
    ++count;
  }
  return count;
}

/// {"<name>": [rows], "next_cursor"}: a page of orders, each as `append` (order, writer) shows it.
template <typename Append>
std::string list_body(const char* name, CursorList list, const ports::OrderPage& page,
                      Append append) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object().key(name).begin_array();
  const std::size_t count =
      append_rows(page.orders, body, [&](const domain::Order& order) { append(order, writer); });
  writer.end_array();
  std::optional<domain::OrderId> next = page.next;
  if (count < page.orders.size()) next = page.orders[count - 1].id;
  append_next_cursor(list, next, writer);
  writer.end_object();
  return body;
}

}  // namespace penstock::api
