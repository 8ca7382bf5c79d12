#include "api/effect_names.h"

namespace penstock::api {

std::string_view to_string(domain::EffectKind kind) {
  switch (kind) {
    case domain::EffectKind::charge:
      return "charge";
    case domain::EffectKind::find_charge:
      return "find-charge";
    case domain::EffectKind::close_charge:
      return "close-charge";
    case domain::EffectKind::refund:
      return "refund";
    case domain::EffectKind::fulfill:
      return "fulfill";
    case domain::EffectKind::find_fulfillment:
      return "find-fulfillment";
    case domain::EffectKind::close_fulfillment:
      return "close-fulfillment";
  }
  return "unknown";
}

std::string_view to_string(domain::OutcomeKind kind) {
  switch (kind) {
    case domain::OutcomeKind::done:
      return "done";
    case domain::OutcomeKind::refused:
      return "refused";
    case domain::OutcomeKind::transient:
      return "transient";
    case domain::OutcomeKind::permanent:
      return "permanent";
    case domain::OutcomeKind::unknown:
      return "unknown";
    case domain::OutcomeKind::not_found:
      return "not-found";
    case domain::OutcomeKind::closed:
      return "closed";
    case domain::OutcomeKind::unavailable:
      return "unavailable";
  }
  return "unknown";
}

std::string_view to_string(pipeline::PlaceOutcome outcome) {
  switch (outcome) {
    case pipeline::PlaceOutcome::accepted:
      return "accepted";
    case pipeline::PlaceOutcome::replayed:
      return "replayed";
    case pipeline::PlaceOutcome::key_reused:
      return "key-reused";
    case pipeline::PlaceOutcome::quota_exceeded:
      return "quota-exceeded";
    case pipeline::PlaceOutcome::cost_exceeds_capacity:
      return "cost-exceeds-capacity";
    case pipeline::PlaceOutcome::reduced_capacity:
      return "reduced-capacity";
    case pipeline::PlaceOutcome::draining:
      return "draining";
    case pipeline::PlaceOutcome::abandoned:
      return "abandoned";
  }
  return "unknown";
}

}  // namespace penstock::api
