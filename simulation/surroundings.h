#pragma once

#include <cstdint>

#include "checker/event.h"
#include "checker/history.h"
#include "domain/contract.h"
#include "simulation/probe.h"
#include "simulation/scenario.h"
#include "simulation/timeline.h"
#include "simulation/trace.h"

namespace penstock::simulation {

/// A defect of the world itself, so that tests can show that the judge would see one.
enum class PlantedDefect : std::uint8_t {
  none,
  gateway_captures_twice,
  gateway_ignores_close,
  gateway_never_answers,  ///< a close, even when faults have stopped
  store_loses_acknowledged,
  store_applies_twice,
  store_forgets_keys,
  sink_swallows,  ///< answers that a webhook was delivered, and drops it
};

/// Whether misfortunes happen at present.
enum class Weather : std::uint8_t { faulty, kind };

/// What every part of one simulated world shares. Everything referred to outlives the parts. One
/// thread.
struct Surroundings {
  std::uint64_t seed = 1;
  const Scenario& scenario;
  Timeline& timeline;
  Trace& trace;
  ProbeCounts& probes;
  checker::History& history;
  Weather weather = Weather::faulty;
  PlantedDefect defect = PlantedDefect::none;
  std::uint64_t groups_stored = 0;
  std::uint64_t contracts_stored = 0;  ///< so that an answer is held against its own contract

  bool faulty() const { return weather == Weather::faulty; }
  /// `probability` while faults happen, else zero.
  double risk(double probability) const { return faulty() ? probability : 0; }
  void hit(Probe probe) { probes.hit(probe); }
  /// Tells the judge what happened, at the present true time.
  void tell(const checker::OccurrencePointer& what) { history.add(timeline.now(), what); }
};

/// A digest of a contract, whether or not its webhook is disabled.
inline std::uint64_t content_of(const domain::Contract& contract) {
  Digest digest;
  for (const domain::TokenRate& rate :
       {contract.bucket.rate, contract.guarantee.value_or(domain::TokenRate{})}) {
    digest.add(static_cast<std::uint64_t>(rate.micro_tokens));
    digest.add(static_cast<std::uint64_t>(rate.period_ns));
  }
  digest.add(static_cast<std::uint64_t>(contract.bucket.burst));
  digest.add(static_cast<std::uint64_t>(contract.weight));
  digest.add(contract.webhook ? contract.webhook->url + " " + contract.webhook->secret : "");
  return digest.value() | 1U;
}

/// A digest of where a webhook goes.
inline std::uint64_t endpoint_of(const domain::Webhook& webhook) {
  Digest digest;
  digest.add(webhook.url);
  return digest.value() | 1U;
}

/// How the payment method of an order ends whose charge ends whoever sends it.
inline constexpr const char* kPoisonSuffix = "-poison";

/// A scenario's milliseconds as a span.
inline domain::Duration span_of_ms(double milliseconds) {
  return {static_cast<std::int64_t>(milliseconds * 1'000)};
}
inline domain::Duration span_of_seconds(double seconds) {
  return {static_cast<std::int64_t>(seconds * 1'000'000)};
}

/// Where the process is to end; thrown by what surrounds the pipeline, caught by its world.
struct Crash {
  Probe where = Probe::crash_between_polls;
};

}  // namespace penstock::simulation
