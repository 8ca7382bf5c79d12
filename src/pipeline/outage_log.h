#pragma once

#include <array>
#include <cstdint>

#include "domain/instant.h"
#include "domain/order.h"
#include "pipeline/stage_pause.h"
#include "ports/log.h"

namespace penstock::pipeline {

/// Tells people of peers that are away: a line when the outage begins, with its cause, one a minute
/// while it lasts, and one when the peer answers again. A peer that comes and goes is told of at
/// most every kLeastGap. One thread.
class OutageLog {
 public:
  static constexpr domain::Duration kLeastGap = domain::Duration::seconds(10);
  static constexpr domain::Duration kReminder = domain::Duration::seconds(60);

  explicit OutageLog(ports::Log& log) : log_(log) {}

  /// Looks at the pause of `stage`, after each answer of its peer. Cheap where nothing changed.
  void look(domain::Stage stage, const StagePause& pause, domain::Instant now);

 private:
  struct Told {
    bool begun = false;     ///< there was a line, and none of the end yet
    bool ever = false;      ///< there was a line
    domain::Instant since;  ///< of the outage that was told of
    domain::Instant at;     ///< of the last line
  };

  ports::Log& log_;
  std::array<Told, domain::kStages + 1> told_{};
};

}  // namespace penstock::pipeline
