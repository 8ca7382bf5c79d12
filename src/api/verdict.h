#pragma once

#include <string>
#include <variant>

#include "api/placed_answer.h"
#include "api/problem.h"
#include "net/http_message.h"
#include "pipeline/request.h"
#include "ports/order_store.h"

/// What the pipeline's and the store's answers mean to a client.
namespace penstock::api {

/// Close the connection without an answer: the outcome is unknown, and any status would be a lie.
struct Abandon {};

using Verdict = std::variant<net::HttpResponse, Problem, Abandon>;

/// A JSON answer.
net::HttpResponse json_response(int status, std::string body);

/// The answer to one placed order, alone or as a line of a batch. Accepted: 202, Location and the
/// rate limit's lines; replayed: the same body and Location, Idempotent-Replayed. Cheap: it runs on
/// the thread that drives the pipeline.
Verdict verdict_of(const pipeline::PlaceResult& result, PlacedAnswer answer);

/// The answer to a request that the pipeline did not carry out.
Verdict verdict_of(pipeline::Refusal refusal);

/// The answer to a read that the store could not do.
Problem problem_of(ports::StoreError error);

/// What is not there, or not the caller's: the same to the byte but for path and correlation id.
Problem not_found();

}  // namespace penstock::api
