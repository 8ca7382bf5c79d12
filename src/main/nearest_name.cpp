#include "main/nearest_name.h"

#include <algorithm>
#include <vector>

namespace penstock::main {
namespace {

/// Names longer than this are compared by their start.
constexpr std::size_t kMostLetters = 64;

/// Edits from one to the other, a swap of neighbours counted as one (optimal string alignment).
std::size_t distance(std::string_view from, std::string_view to) {
  from = from.substr(0, kMostLetters);
  to = to.substr(0, kMostLetters);
  std::vector<std::size_t> before(to.size() + 1);
  std::vector<std::size_t> last(to.size() + 1);
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t column = 0; column <= to.size(); ++column) last[column] = column;
  for (std::size_t line = 1; line <= from.size(); ++line) {
    row[0] = line;
    for (std::size_t column = 1; column <= to.size(); ++column) {
      std::size_t const changed = from[line - 1] == to[column - 1] ? 0 : 1;
      row[column] = std::min({last[column] + 1, row[column - 1] + 1, last[column - 1] + changed});
      if (line > 1 && column > 1 && from[line - 1] == to[column - 2] &&
          from[line - 2] == to[column - 1]) {
        row[column] = std::min(row[column], before[column - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[to.size()];
}

}  // namespace

std::optional<std::string> nearest_name(std::string_view wrong,
                                        std::span<const std::string> names) {
  std::size_t least = std::max<std::size_t>(wrong.size() / 3, 1) + 1;
  std::optional<std::string> nearest;
  for (const std::string& name : names) {
    std::size_t const edits = distance(wrong, name);
    if (edits >= least) continue;
    least = edits;
    nearest = name;
  }
  return nearest;
}

std::string suggestion(std::string_view wrong, std::span<const std::string> names) {
  auto const nearest = nearest_name(wrong, names);
  return nearest ? "; did you mean " + *nearest + "?" : "";
}

}  // namespace penstock::main
