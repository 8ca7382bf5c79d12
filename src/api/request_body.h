#pragma once

#include <expected>

#include "api/problem.h"
#include "net/http_message.h"
#include "net/json.h"

namespace penstock::api {

/// The body as one JSON object. Problems: unsupported-media-type (a Content-Type that is not
/// application/json; none at all is taken as JSON), body-too-large, malformed-json (with the place
/// and the kind of the error), and `not_an_object` where it is JSON of another kind.
std::expected<net::JsonDocument, Problem> read_json_object(const net::HttpRequest& request,
                                                           domain::ErrorCode not_an_object);

}  // namespace penstock::api
