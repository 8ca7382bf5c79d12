#pragma once

#include <cstdint>
#include <string>

#include "domain/token_bucket.h"

namespace penstock::api {

/// Appends the lines of draft-ietf-httpapi-ratelimit-headers:
///
///     RateLimit-Policy: "tenant";q=<burst>;w=<seconds in which an empty bucket fills>
///     RateLimit: "tenant";r=<whole tokens left>;t=<seconds until it is full>
///
/// Seconds are rounded up. Nothing where the contract has no rate.
void append_rate_limit_lines(const domain::BucketContract& contract, const domain::TakeResult& take,
                             std::string& out);

/// Seconds, rounded up; never negative.
std::int64_t whole_seconds_up(domain::Duration span);

}  // namespace penstock::api
