#pragma once

#include <expected>

#include "adapters/postgres/connection.h"
#include "ports/dump_visitor.h"

/// Everything that a shared store holds, for an audit.
namespace penstock::postgres_store {

/// Reads the store in one snapshot (a repeatable-read transaction), whether or not processes work
/// on it: what it tells is consistent in itself. Fails where the schema is of another version, the
/// connection breaks, or the server does not answer within half an hour.
std::expected<void, Failure> dump(const ConnectionOptions& options, ports::DumpVisitor& visitor);

}  // namespace penstock::postgres_store
