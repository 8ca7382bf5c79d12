#include "api/operator_log.h"

#include <utility>
#include <variant>

namespace penstock::api {
namespace {

constexpr std::string_view kUnknown = "outcome-unknown";

}  // namespace

void OperatorLog::acted(const OperatorAct& act, std::string_view outcome, Sampling sampling) {
  const bool all = sampling == Sampling::all || log_.enabled(ports::LogLevel::debug);
  if (!log_.enabled(ports::LogLevel::info) || (!all && !is_due())) return;
  log_.write(ports::LogLevel::info, "operator act",
             {{.name = "correlation_id", .value = act.correlation.str()},
              {.name = "tenant_id", .value = act.tenant.str()},
              {.name = "act", .value = act.act},
              {.name = "caller", .value = to_string(act.caller)},
              {.name = "code", .value = outcome},
              {.name = "detail", .value = act.detail}});
}

bool OperatorLog::is_due() {
  constexpr std::int64_t kMicroseconds = 1'000'000;
  const std::int64_t second = clock_.now().wall.us / kMicroseconds;
  if (second_.exchange(second, std::memory_order_relaxed) != second) {
    lines_.store(0, std::memory_order_relaxed);
  }
  return lines_.fetch_add(1, std::memory_order_relaxed) < kLinesPerSecond;
}

ActUnderWay::~ActUnderWay() {
  try {
    end(is_waiting_ ? domain::to_string(domain::ErrorCode::reduced_capacity) : kUnknown);
  } catch (...) {  // lack of memory: the line is lost
  }
}

void ActUnderWay::done(std::string_view more) {
  act_.detail += more;
  end("done");
}

Verdict ActUnderWay::refused(pipeline::Refusal refusal) {
  Verdict verdict = verdict_of(refusal);
  const auto* const problem = std::get_if<Problem>(&verdict);
  end(problem != nullptr ? domain::to_string(problem->code) : kUnknown);
  return verdict;
}

Problem ActUnderWay::refused(Problem problem) {
  end(domain::to_string(problem.code));
  return problem;
}

void ActUnderWay::end(std::string_view outcome) {
  if (log_ != nullptr) std::exchange(log_, nullptr)->acted(act_, outcome, sampling_);
}

std::string_view to_string(Caller::Kind kind) {
  switch (kind) {
    case Caller::Kind::open:
      return "open";
    case Caller::Kind::admin:
      return "admin";
    case Caller::Kind::tenant:
      return "tenant";
  }
  return "open";
}

}  // namespace penstock::api
