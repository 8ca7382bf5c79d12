#pragma once

#include <expected>
#include <string_view>

#include "api/caller.h"
#include "api/context.h"
#include "api/problem.h"
#include "ports/order_reader.h"

namespace penstock::api {

/// The order of this id, as it is stored. What is no id, is not stored, or belongs to a tenant that
/// the caller does not reach is one and the same not-found.
std::expected<ports::StoredOrder, Problem> find_order(const Context& context, const Caller& caller,
                                                      std::string_view id);

}  // namespace penstock::api
