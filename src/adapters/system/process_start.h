#pragma once

#include <cstddef>
#include <exception>
#include <expected>
#include <string>
#include <string_view>

/// What a process does before anything else, and how it ends where an exception is left over.
namespace penstock::system {

/// Opens descriptors 0 to 2 where whoever started the process closed them, so that no file that is
/// opened later gets their number and with it what is meant for a terminal or a log. Reading 0 and
/// writing 1 fail as they would have; what is written to 2 is lost. Before any thread.
void open_standard_descriptors();

/// A crash leaves no dump, which would hold keys and customers' data: the soft limit of dumps is 0.
/// Whoever needs one raises it for the process that runs (prlimit --core). Child processes inherit
/// it.
void leave_no_core_dumps();

/// Whether the process may do everything on this machine.
bool runs_as_root();
inline constexpr std::string_view kRootWarning =
    "runs as root: a user that owns nothing but the data directory is enough";

/// From now on writing to a pipe that nobody reads fails with EPIPE instead of ending the process.
void ignore_broken_pipes();

/// An exception that leaves a thread, or one in a place where none may be, ends the process with
/// exit code 1 and one line on standard error instead of a signal. What was acknowledged is on
/// disk.
void end_on_uncaught_exceptions();

/// A line for the operator: what went wrong, and what to do about it where that is known. Without a
/// line end.
std::string sentence_of(const std::exception& error);

/// Whether `count` further threads can be started now: libraries that start some end the process
/// where there are none. The error is a sentence for the operator.
std::expected<void, std::string> can_start_threads(std::size_t count);

}  // namespace penstock::system
