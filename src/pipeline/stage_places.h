#pragma once

#include <cstddef>
#include <optional>

#include "domain/order.h"
#include "pipeline/pipeline.h"
#include "ports/claim_places.h"

namespace penstock::pipeline {

/// The places in flight of the stages that send effects, shared by the tenants: an order takes one
/// with its claim and has it until its effects are over. Not thread-safe.
class StagePlaces {
 public:
  using Room = ports::ClaimPlaces::Room;

  /// A place that an order has; none where `holder` is null.
  struct Place {
    Room* room = nullptr;
    Room::Holder* holder = nullptr;
  };

  explicit StagePlaces(const PipelineOptions& options)
      : payments_(options.max_payments_in_flight),
        fulfillments_(options.max_fulfillments_in_flight) {}

  /// The room of the stage's effects; null where it has none.
  Room* room_of(domain::Stage stage) {
    if (stage == domain::Stage::payment) return &payments_;
    if (stage == domain::Stage::fulfillment) return &fulfillments_;
    return nullptr;
  }

  /// The order at hand has this place until `end` or `hand_on`.
  void begin(Place place) { at_hand_ = place; }
  /// The place of the order at hand goes with an effect of it.
  Place hand_on() {
    const Place place = at_hand_;
    at_hand_ = {};
    return place;
  }
  /// Gives the place back unless an effect has it.
  void end() {
    if (at_hand_.holder != nullptr) at_hand_.room->give_back(at_hand_.holder);
    at_hand_ = {};
  }

 private:
  Room payments_;
  Room fulfillments_;
  Place at_hand_;
};

}  // namespace penstock::pipeline
