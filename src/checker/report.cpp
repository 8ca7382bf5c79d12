#include "checker/report.h"

#include <numeric>
#include <utility>

namespace penstock::checker {
namespace {

struct Row {
  int number;
  Evidence evidence;
  std::string_view text;
  std::string_view meaning;
};

constexpr std::array kRows{
#define X(name, number, evidence, text, meaning) Row{number, Evidence::evidence, text, meaning},
    PENSTOCK_INVARIANTS(X)
#undef X
};

const Row& row_of(Invariant invariant) {
  return kRows.at(static_cast<std::size_t>(invariant));
}

}  // namespace

std::string_view to_string(Invariant invariant) {
  return row_of(invariant).text;
}

std::string_view meaning_of(Invariant invariant) {
  return row_of(invariant).meaning;
}

int number_of(Invariant invariant) {
  return row_of(invariant).number;
}

Evidence evidence_of(Invariant invariant) {
  return row_of(invariant).evidence;
}

bool Report::judged(Invariant invariant) const {
  return broken.at(static_cast<std::size_t>(invariant)) > 0 || has(evidence_of(invariant));
}

void Report::add(Invariant invariant, std::string subject, std::string detail) {
  ++broken.at(static_cast<std::size_t>(invariant));
  if (findings.size() < kMaxFindings) {
    findings.push_back({invariant, std::move(subject), std::move(detail)});
  }
}

std::uint64_t Report::violations() const {
  return std::accumulate(broken.begin(), broken.end(), std::uint64_t{0});
}

}  // namespace penstock::checker
