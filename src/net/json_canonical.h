#pragma once

#include <string>
#include <string_view>

#include "net/json.h"

namespace penstock::net {

/// Appends the value's canonical form: RFC 8785 member order (by UTF-16 code units), string
/// escapes and no white space; but numbers are exact decimals in one normal form instead of
/// doubles, so that 1, 1.0, 1e0 and 10e-1 give the same text and 0.1 stays what was written.
/// The member of the top-level object named `omitted_top_level_member` is left out ("" omits
/// none). Memory is linear in the source: a huge exponent stays in scientific form.
void canonical_json(JsonView value, std::string_view omitted_top_level_member, std::string& out);

}  // namespace penstock::net
