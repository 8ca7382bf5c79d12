#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace penstock::cli {

/// "?a=1&b=2" of the pairs that have a value, escaped; "" where none has.
std::string query_of(
    std::initializer_list<std::pair<std::string_view, std::string_view>> parameters);

/// An id as a path segment, escaped.
std::string segment(std::string_view id);

}  // namespace penstock::cli
