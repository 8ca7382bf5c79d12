#include "pipeline/request.h"

#include <utility>

namespace penstock::pipeline {
namespace {

PlaceOutcome place_outcome_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::draining:
      return PlaceOutcome::draining;
    case Refusal::abandoned:
      return PlaceOutcome::abandoned;
    default:
      return PlaceOutcome::reduced_capacity;
  }
}

struct Refuser {
  Refusal refusal;

  void operator()(PlaceOrder& request) const {
    PlaceResult result;
    result.outcome = place_outcome_of(refusal);
    result.retry_after = domain::Duration::seconds(1);
    request.done(std::move(result));
  }
  void operator()(WaitForEnd& request) const { request.done({}); }
  void operator()(AskProgress& request) const { request.done({}); }
  void operator()(ListUnresolved& request) const { request.done({}); }
  void operator()(AskStatistics& request) const { request.done({}); }
  template <typename Other>
  void operator()(Other& request) const {
    request.done(std::unexpected(refusal));
  }
};

}  // namespace

void refuse(Request& request, Refusal refusal) {
  std::visit(Refuser{refusal}, request);
}

}  // namespace penstock::pipeline
