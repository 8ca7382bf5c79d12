#pragma once

#include <string_view>

#include "domain/saga.h"
#include "pipeline/request.h"

/// How the pipeline's enumerations are written in answers and metrics.
namespace penstock::api {

/// "charge", "find-charge", "close-charge", "refund", "fulfill", ...
std::string_view to_string(domain::EffectKind kind);

/// "done", "refused", "transient", ...
std::string_view to_string(domain::OutcomeKind kind);

/// "accepted", "replayed", "key-reused", ...
std::string_view to_string(pipeline::PlaceOutcome outcome);

}  // namespace penstock::api
