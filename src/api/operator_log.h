#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "api/caller.h"
#include "api/verdict.h"
#include "domain/ids.h"
#include "pipeline/request.h"
#include "ports/clock.h"
#include "ports/log.h"

namespace penstock::api {

/// One change that somebody made by an operator's route.
struct OperatorAct {
  std::string_view act;  ///< "redrive", "put-contract", ...
  Caller::Kind caller = Caller::Kind::open;
  domain::CorrelationId correlation;
  domain::TenantId tenant{};  ///< whose; empty: not of one tenant
  std::string detail{};       ///< what was asked for; no secret
};

/// Writes who changed what, and what came of it, at info level. Acts that come in thousands (stock)
/// are sampled: the first kLinesPerSecond in each second; at debug level all are written.
/// Thread-safe; under a race a line more or less is written.
class OperatorLog {
 public:
  static constexpr std::int64_t kLinesPerSecond = 10;
  enum class Sampling : std::uint8_t { all, sampled };

  /// Borrows both.
  OperatorLog(ports::Log& log, ports::Clock& clock) : log_(log), clock_(clock) {}

  /// `outcome` is "done", a refusal's code, or "outcome-unknown".
  void acted(const OperatorAct& act, std::string_view outcome, Sampling sampling = Sampling::all);

 private:
  bool is_due();

  ports::Log& log_;
  ports::Clock& clock_;
  std::atomic<std::int64_t> second_{-1};
  std::atomic<std::int64_t> lines_{0};
};

/// An act on its way, written to the log once: when its outcome is known, or when it is dropped
/// without one, as where the server ends. Movable; one thread at a time.
class ActUnderWay {
 public:
  /// Borrows `log`.
  ActUnderWay(OperatorLog& log, OperatorAct act,
              OperatorLog::Sampling sampling = OperatorLog::Sampling::all)
      : log_(&log), act_(std::move(act)), sampling_(sampling) {}
  ActUnderWay(ActUnderWay&& other) noexcept
      : log_(std::exchange(other.log_, nullptr)),
        act_(std::move(other.act_)),
        sampling_(other.sampling_),
        is_waiting_(other.is_waiting_) {}
  ActUnderWay& operator=(ActUnderWay&&) = delete;
  ~ActUnderWay();

  /// Waits in the api, so that nothing was done where it is dropped: it is then written with the
  /// code of the pool's refusals.
  void waits() { is_waiting_ = true; }
  /// Has been handed to the pipeline, as it is from the start: dropped, its outcome is unknown.
  void handed_over() { is_waiting_ = false; }
  /// Whose it turned out to be.
  void of(domain::TenantId tenant) { act_.tenant = std::move(tenant); }
  /// It was carried out; `more` goes behind the detail.
  void done(std::string_view more = {});
  /// It was not; what to answer.
  Verdict refused(pipeline::Refusal refusal);
  Problem refused(Problem problem);

 private:
  void end(std::string_view outcome);

  OperatorLog* log_;  ///< null: moved away, or written already
  OperatorAct act_;
  OperatorLog::Sampling sampling_;
  bool is_waiting_ = false;
};

/// "open", "admin" or "tenant".
std::string_view to_string(Caller::Kind kind);

}  // namespace penstock::api
