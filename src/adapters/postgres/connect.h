#pragma once

#include <expected>
#include <memory>
#include <string>

#include <libpq-fe.h>

#include "adapters/postgres/failure.h"
#include "adapters/postgres/last_call.h"
#include "domain/instant.h"

namespace penstock::postgres_store {

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using ServerConnection = std::unique_ptr<PGconn, FinishConnection>;

struct ConnectOptions {
  std::string url;                ///< a libpq URL or keyword string
  std::string name;               ///< shown as application_name
  domain::Duration host_timeout;  ///< for each host that the URL names
  domain::Duration tcp_timeout;   ///< what was sent and is not acknowledged for so long is lost
  const LastCall* last_call = nullptr;
};

/// Opens a session with the first host of the URL that takes writes, UTF-8 on both sides of it. A
/// host that does not answer, or does not finish what it began, is left for the next one after
/// `host_timeout` (a shorter connect_timeout of the URL counts). libpq's own connect does that only
/// where it blocks without an end to be set. The connection does not block.
///
/// Names of hosts are resolved by the system's resolver, whose timeouts are its own.
std::expected<ServerConnection, Failure> connect_for_writing(const ConnectOptions& options);

}  // namespace penstock::postgres_store
