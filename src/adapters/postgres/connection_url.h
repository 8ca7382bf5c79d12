#pragma once

#include <optional>
#include <string>

namespace penstock::postgres_store {

/// Why libpq does not understand `url`; nothing where it does. A sentence without any part of the
/// URL, since libpq's own message quotes the piece that it stumbles over, which may be a password.
std::optional<std::string> why_malformed(const std::string& url);

}  // namespace penstock::postgres_store
