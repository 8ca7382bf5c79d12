#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "domain/instant.h"
#include "domain/saga.h"

namespace penstock::pipeline {

/// Holds a stage back while its peer cannot be reached. After a pause a few orders probe it; the
/// first answer opens the stage again. Counts for no order.
///
/// What concerns every order pauses the stage at once: no connection, credentials that are refused.
/// Where the peer is merely too busy for one order, or does not answer one, others may be served
/// all the while, and one tenant's trouble is not everybody's: then the stage pauses only where
/// nobody got an answer for kServedWithin, and otherwise that order backs off alone.
class StagePause {
 public:
  static constexpr domain::Duration kServedWithin = domain::Duration::seconds(5);
  /// Lost answers in a row, nobody being served, before the stage pauses.
  static constexpr std::uint32_t kUnanswered = 3;

  /// Takes note of what one effect of the stage came to.
  void heard(const domain::Outcome& outcome, domain::Instant now) {
    const bool unavailable = outcome.kind == domain::OutcomeKind::unavailable;
    if (!unavailable && outcome.kind != domain::OutcomeKind::unknown) {
      answered_at_ = now;
      peer_answered();
      return;
    }
    in_a_row_ = std::min(in_a_row_ + 1, kUnanswered);
    const bool of_all = unavailable && outcome.trouble != domain::Trouble::overloaded;
    const bool served = answered_at_ && now - *answered_at_ < kServedWithin;
    if (!of_all && (served || (!unavailable && in_a_row_ < kUnanswered))) return;
    if (pauses_ == 0) since_ = now;
    trouble_ = outcome.trouble;
    detail_ = outcome.detail;
    peer_was_away(now, outcome.trouble == domain::Trouble::overloaded ? kBusyCap : kCap);
  }

  void peer_was_away(domain::Instant now, domain::Duration cap = kCap) {
    if (now < until_) return;
    // 100 ms, 200 ms, ... 5 s.
    const std::int64_t factor = std::int64_t{1} << std::min<std::uint32_t>(pauses_, 6);
    pauses_ += 1;
    until_ = now + std::min(domain::Duration{factor * 100'000}, cap);
  }
  void peer_answered() {
    pauses_ = 0;
    in_a_row_ = 0;
    until_ = {};
  }
  bool paused(domain::Instant now) const { return now < until_; }
  /// From the first pause to the next answer, the probes between pauses included.
  bool is_away() const { return pauses_ > 0; }
  /// While the peer has not answered since the pause, at most this many may be in flight.
  std::size_t limit(std::size_t usual) const {
    return pauses_ == 0 ? usual : std::min(usual, kProbes);
  }
  /// Zero while the stage is open.
  domain::Instant until() const { return until_; }

  /// While it is away: since when, why, and what was said last.
  domain::Instant since() const { return since_; }
  domain::Trouble trouble() const { return trouble_; }
  const std::string& detail() const { return detail_; }

 private:
  static constexpr std::size_t kProbes = 16;
  static constexpr domain::Duration kCap = domain::Duration::seconds(5);
  /// A peer that answers at all is asked again sooner: somebody else may well be served.
  static constexpr domain::Duration kBusyCap = domain::Duration::seconds(1);

  domain::Instant until_;
  std::uint32_t pauses_ = 0;
  std::uint32_t in_a_row_ = 0;  ///< effects without an answer since the last answer
  std::optional<domain::Instant> answered_at_;
  domain::Instant since_;
  domain::Trouble trouble_ = domain::Trouble::none;
  std::string detail_;
};

}  // namespace penstock::pipeline
