#pragma once

namespace penstock::domain {

/// Products of two 64-bit values, exactly. Both compilers have the type; the keyword marks it as
/// the extension that it is.
__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UnsignedInt128;

}  // namespace penstock::domain
