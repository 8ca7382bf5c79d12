#pragma once

#include <string>

#include "domain/order.h"

namespace penstock::pipeline {

/// The receipt of an order that is fulfilled: a JSON document of about 400 bytes for one item. Its
/// bytes are stored with the transition and never made again.
std::string render_receipt(const domain::Order& order);

}  // namespace penstock::pipeline
