#include "pipeline/outage_log.h"

namespace penstock::pipeline {
namespace {

bool is_payment(domain::Stage stage) {
  return stage == domain::Stage::payment;
}

}  // namespace

void OutageLog::look(domain::Stage stage, const StagePause& pause, domain::Instant now) {
  Told& told = told_[static_cast<std::size_t>(stage)];
  if (!pause.is_away()) {
    if (!told.begun) return;
    told.begun = false;
    log_.write(ports::LogLevel::info,
               is_payment(stage) ? "payment gateway answers again; the stage goes on"
                                 : "fulfiller answers again; the stage goes on",
               {{"stage", to_string(stage)}, {"away_seconds", (now - told.since).us / 1'000'000}});
    return;
  }
  const bool is_due =
      told.begun ? now - told.at >= kReminder : !told.ever || now - told.at >= kLeastGap;
  if (!is_due) return;
  told = {.begun = true, .ever = true, .since = pause.since(), .at = now};
  log_.write(ports::LogLevel::warning,
             is_payment(stage) ? "payment gateway away; the stage is paused"
                               : "fulfiller away; the stage is paused",
             {{"stage", to_string(stage)},
              {"code", to_string(pause.trouble())},
              {"detail", pause.detail()},
              {"away_seconds", (now - pause.since()).us / 1'000'000}});
}

}  // namespace penstock::pipeline
