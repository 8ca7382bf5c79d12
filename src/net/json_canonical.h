#pragma once

#include <span>
#include <string>
#include <string_view>

#include "net/json.h"

namespace penstock::net {

/// Appends the value's canonical form: RFC 8785 member order (by UTF-16 code units), string
/// escapes and no white space; but numbers are exact decimals in one normal form instead of
/// doubles, so that 1, 1.0, 1e0 and 10e-1 give the same text and 0.1 stays what was written.
/// Memory is linear in the source: a huge exponent stays in scientific form.
void canonical_json(JsonView value, std::string& out);

/// Appends the canonical form of what an object says beyond the members named in `known`. A member
/// that is null counts as absent. False, with nothing appended, if nothing is left.
bool canonical_rest(JsonView object, std::span<const std::string_view> known, std::string& out);

}  // namespace penstock::net
