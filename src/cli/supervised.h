#pragma once

#include <functional>

#include "cli/exit_code.h"

namespace penstock::cli {

/// Runs `work` in a process of its own whose temporary directory (TMPDIR) is a new one, and removes
/// it however that process ends: by itself, by Ctrl-C, SIGTERM or SIGHUP, or by a signal of its
/// own. What it started ends with it. Returns in both processes: in the new one with what `work`
/// said, in this one with the same, or 128 and the signal's number where one came. Before any
/// thread. Throws std::runtime_error where there is no temporary directory or no process to be had.
ExitCode run_supervised(const std::function<ExitCode()>& work);

}  // namespace penstock::cli
