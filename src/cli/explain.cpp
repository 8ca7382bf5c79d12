#include "cli/explain.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/error_pages.h"

namespace penstock::cli {
namespace {

/// The first sentence below the title: what the list shows of a page.
std::string_view summary_of(std::string_view page) {
  std::size_t at = page.find('\n');
  while (at != std::string_view::npos && at < page.size() && page[at] == '\n') ++at;
  if (at == std::string_view::npos || at >= page.size()) return "";
  return page.substr(at, page.find('\n', at) - at);
}

bool shares_a_word(std::string_view code, std::string_view asked) {
  while (!asked.empty()) {
    std::string_view const word = asked.substr(0, asked.find('-'));
    if (word.size() > 3 && code.find(word) != std::string_view::npos) return true;
    asked.remove_prefix(std::min(asked.size(), word.size() + 1));
  }
  return false;
}

}  // namespace

ExitCode explain(const std::string& code, std::ostream& out, std::ostream& complaints) {
  if (code.empty()) {
    for (const ErrorPage& page : error_pages()) {
      out << fmt::format("{:<32} {}\n", page.code, summary_of(page.text));
    }
    return ExitCode::done;
  }
  for (const ErrorPage& page : error_pages()) {
    if (page.code != code) continue;
    out << page.text;
    return ExitCode::done;
  }
  complaints << fmt::format("There is no code {}.\n", code);
  for (const ErrorPage& page : error_pages()) {
    if (shares_a_word(page.code, code)) complaints << fmt::format("  perhaps {}\n", page.code);
  }
  return ExitCode::failed;
}

}  // namespace penstock::cli
