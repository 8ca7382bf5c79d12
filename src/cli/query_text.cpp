#include "cli/query_text.h"

#include "net/url.h"

namespace penstock::cli {

std::string query_of(
    std::initializer_list<std::pair<std::string_view, std::string_view>> parameters) {
  std::string out;
  for (auto const& [name, value] : parameters) {
    if (value.empty()) continue;
    out += out.empty() ? '?' : '&';
    out += name;
    out += '=';
    out += net::percent_encode(value);
  }
  return out;
}

std::string segment(std::string_view id) {
  return net::percent_encode(id);
}

}  // namespace penstock::cli
