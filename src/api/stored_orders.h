#pragma once

#include <expected>

#include "api/problem.h"
#include "api/routes.h"
#include "ports/order_reader.h"

namespace penstock::api {

/// The order that the call names, as it is stored. What is no id, is not stored, or belongs to a
/// tenant that the caller does not reach is one and the same not-found.
std::expected<ports::StoredOrder, Problem> find_order(const Reads& reads, const ReadCall& call);

}  // namespace penstock::api
