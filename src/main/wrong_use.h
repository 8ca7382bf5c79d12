#pragma once

#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own
class App;
class ParseError;
}  // namespace CLI

namespace penstock::main {

/// What is wrong with a command line, with the nearest command or flag where a name was misspelt.
/// Never shows what was given as a value where no flag takes it: it may be a key.
std::string why_wrong_use(const CLI::App& app, const CLI::ParseError& error);

}  // namespace penstock::main
