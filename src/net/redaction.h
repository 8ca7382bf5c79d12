#pragma once

#include <string>
#include <string_view>

namespace penstock::net {

/// What stands for something that is not shown.
inline constexpr std::string_view kMask = "********";

/// `text`, a URL or what was given in its place, as it may be printed and logged:
/// "postgres://********@host:5432/name?********". User information and query are never shown. What
/// is not a well-formed URL is shown by its scheme alone, or as the mask where it has none: a
/// password may stand anywhere in it. Empty stays empty.
std::string redacted(std::string_view text);

/// `text`, a sentence that may quote URLs or "password=..." pairs, with each of them redacted. For
/// messages of libraries.
std::string redacted_sentence(std::string_view text);

/// Whether `text` was printed by one of the above and holds the mask instead of what it stands for.
bool is_masked(std::string_view text);

}  // namespace penstock::net
