#pragma once

#include <cstddef>
#include <expected>

#include "pipeline/request.h"
#include "ports/order_reader.h"

namespace penstock::main {

inline constexpr int kDemoProducts = 100;
inline constexpr std::int64_t kDemoStock = 1'000'000;

/// Sets the stock of PROD-001 to PROD-100 of tenant `default` to kDemoStock each, where none was
/// ever set: a restart changes nothing. Waits until it is durable. Answers how many were set. Not
/// from the thread that drives the pipeline.
std::expected<std::size_t, pipeline::Refusal> load_demo_catalog(pipeline::Intake& intake,
                                                                const ports::OrderReader& reader);

}  // namespace penstock::main
