#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "domain/ids.h"
#include "domain/instant.h"
#include "domain/order.h"
#include "ports/order_store.h"

namespace penstock::pipeline {

/// Finds the order that ends the process. After kUncleanEndsBeforeMarks unclean ends in a row,
/// orders run behind a synced mark, a few at a time; those that were marked three times run alone;
/// three interruptions alone make a dead letter. A server that is merely killed marks different
/// orders each time, since a mark lasts only while a step runs and not while a peer is waited for.
class CarefulRun {
 public:
  CarefulRun(ports::OrderStore& store, domain::Now now);

  /// True while marks are needed.
  bool careful() const { return careful_; }

  /// How many orders may be claimed at once.
  std::size_t limit(std::size_t usual) const;

  enum class Verdict { run, run_alone, give_up };
  /// What is to be done with a claimed order.
  Verdict verdict(const domain::Order& order) const;

  /// Marks orders that are about to run (an empty span: none), synced. False if the store did not
  /// take the mark: nothing may run then.
  bool mark(std::span<const domain::OrderId> orders);

  /// Ends the careful run, or the count of unclean ends, once nothing of the past is left
  /// (`nothing_waits`) or the process has lived long enough.
  void look(domain::Now now, bool nothing_waits);

 private:
  ports::OrderStore& store_;
  domain::Instant started_;
  bool careful_ = false;
  bool settled_ = false;
  bool marked_ = false;
};

}  // namespace penstock::pipeline
