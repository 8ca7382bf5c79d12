#pragma once

#include <cstddef>
#include <string>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"

namespace penstock::api {

/// The 202 body of a placed order, answer format 1: made of its immutable fields as of version 1
/// (status placed, updated_at = created_at), so that a replay is the same to the byte however far
/// the order has come.
///
/// Everything but the id and the creation time is rendered ahead on the caller's thread; `fill`
/// only overwrites text of a fixed width, since it runs on the thread that drives the pipeline.
class PlacedAnswer {
 public:
  /// From a draft, or from a stored order; both give the same bytes once filled.
  explicit PlacedAnswer(const domain::Order& order);

  /// The body of the order with this id and creation time (years 0 to 9999).
  std::string fill(const domain::OrderId& id, domain::Instant created_at) &&;

 private:
  std::string body_;
  std::size_t id_at_ = 0;
  std::size_t created_at_ = 0;
  std::size_t updated_at_ = 0;
};

}  // namespace penstock::api
