#pragma once

#include <string>

namespace penstock::system {

/// The kernel's id of this boot (/proc/sys/kernel/random/boot_id, proc(5)): monotonic times of two
/// processes are comparable exactly if they were read under the same one. Where it cannot be read
/// the answer is a text of this process alone, so that no earlier time is ever taken for
/// comparable.
std::string read_boot_id();

}  // namespace penstock::system
