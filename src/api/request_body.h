#pragma once

#include <expected>
#include <optional>

#include "api/problem.h"
#include "net/http_message.h"
#include "net/json.h"

namespace penstock::api {

/// The body as one JSON object. Problems: unsupported-media-type (a Content-Type that is not
/// application/json; none at all is taken as JSON), body-too-large, malformed-json (with the place
/// and the kind of the error), and `not_an_object` where it is JSON of another kind.
std::expected<net::JsonDocument, Problem> read_json_object(const net::HttpRequest& request,
                                                           domain::ErrorCode not_an_object);

/// unsupported-media-type where the body has a Content-Encoding, which no resource takes: with
/// `Accept-Encoding: identity` (RFC 9110 section 15.5.16). "identity" is taken as none.
std::optional<Problem> refuse_encoded_body(const net::HttpRequest& request);
/// For operations without a body: none at all and `{}` are fine; anything else may mean something
/// that would not be done, and is refused (read_json_object's problems, invalid-body).
std::optional<Problem> refuse_body(const net::HttpRequest& request);

}  // namespace penstock::api
