#pragma once

#include <cstdint>
#include <expected>
#include <ostream>
#include <string>

namespace penstock::main {

enum class CopyAct : std::uint8_t {
  history,   ///< what ended and changes no more, also beside a running server; any number of times
  cut_over,  ///< seals the source, moves the rest, compares, opens the target
  abandon,   ///< gives a copy up that was not finished: the source may be served again
};

struct StoreCopyOptions {
  std::string source;  ///< the directory of an embedded store
  std::string target;  ///< a database's URL
  std::string schema;  ///< of the target
  CopyAct act = CopyAct::cut_over;
};

/// Moves an embedded store into a database's empty schema. An interrupted copy goes on where it
/// ended when it is run again; a finished one says so. At no time do both stores take orders: the
/// source is sealed before what still changes is read, the target opens after all sums agree.
/// `told` hears of each step. The error is a sentence.
std::expected<void, std::string> copy_store(const StoreCopyOptions& options, std::ostream& told);

}  // namespace penstock::main
