#pragma once

#include <string>
#include <string_view>

#include "ports/order_store.h"

struct pg_result;  // libpq's PGresult

namespace penstock::postgres_store {

/// Why a call failed, with the server's or libpq's words (never a value of a row, never a
/// password).
struct Failure {
  ports::StoreError error = ports::StoreError::unavailable;
  std::string sql_state;  ///< empty where the connection broke or was never made
  std::string detail;
  bool is_connecting = false;  ///< no session was opened: nothing was asked

  /// The transaction lost against another one and may be tried again at once.
  bool is_conflict() const { return sql_state == "40001" || sql_state == "40P01"; }
  bool is_broken_connection() const { return sql_state.empty(); }
  /// The server works and refuses what it was asked for: a value, a constraint or a trigger that
  /// somebody added, a right or an object that is missing. The same call fails again until somebody
  /// acts; other calls may well succeed.
  bool is_refusal() const;
  /// The server refuses every write: it is read-only or a standby, is going down or coming up, has
  /// no room or no connection left. Another host of the URL may take them.
  bool is_server_out_of_service() const;
  /// "28P01 password authentication failed for user \"penstock\"".
  std::string text() const { return sql_state.empty() ? detail : sql_state + " " + detail; }
};

/// A failure that the server told of with a result; `result` is one of an error.
Failure failure_of_result(const pg_result& result);

/// Why a connection could not be opened, from libpq's message for it in its verbose form: the
/// SQLSTATE where the server told one.
Failure failure_to_connect(std::string_view message);

/// Why libpq cannot read a connection string, without any part of it.
Failure failure_to_read_url(std::string_view message);

}  // namespace penstock::postgres_store
