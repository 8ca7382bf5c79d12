#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/order.h"

/// The JSON parts of a stored order: arrays of arrays, in the order of the structs' members.
namespace penstock::postgres_store {

using Metadata = std::vector<std::pair<std::string, std::string>>;

std::string items_json(const std::vector<domain::Item>& items);
std::string metadata_json(const Metadata& metadata);
/// The events after version `read`.
std::string events_json(const std::vector<domain::Event>& timeline, domain::Version read);

/// Each is nothing where the text has another form.
std::optional<std::vector<domain::Item>> parse_items(std::string_view json);
std::optional<Metadata> parse_metadata(std::string_view json);
std::optional<std::vector<domain::Event>> parse_events(std::string_view json);

}  // namespace penstock::postgres_store
