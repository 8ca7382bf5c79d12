#pragma once

#include <cstddef>
#include <string_view>

namespace penstock::fuzz {

/// What a second reader of JSON says about a text.
enum class JsonVerdict { accepted, refused, exponent_too_large };

/// Whether `text` is strict JSON as net/json.h promises it: RFC 8259, well-formed UTF-8, no member
/// named twice, no lone surrogate, at most `max_depth` containers open. Written by the grammar,
/// apart from the code that it is held against. `exponent_too_large` where only an exponent of more
/// than nine digits stands in the way: how far those reach is the implementation's choice.
JsonVerdict judge_json(std::string_view text, std::size_t max_depth);

}  // namespace penstock::fuzz
