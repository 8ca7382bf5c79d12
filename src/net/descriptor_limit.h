#pragma once

#include <cstddef>

namespace penstock::net {

/// Raises this process's soft limit of open descriptors to its hard limit: thousands of
/// connections need one each. Returns the limit then in force.
std::size_t raise_descriptor_limit();

}  // namespace penstock::net
