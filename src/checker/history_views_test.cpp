#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "checker/clean_history.h"

// What is shown to the judge where it is has to be judged as what is copied into an event.
namespace penstock::checker {
namespace {

using Found = std::vector<std::tuple<Invariant, std::string, std::string>>;

struct Story : HistoryWriter {
  FinalStore store;

  Story() {
    domain::TenantId const acme = tenant("acme");
    open_tenant(acme, 10);
    domain::Order const first = draft(acme);
    domain::OrderId const keyed = place(first, "key");
    replay(first, "key");
    capture(keyed);
    record_capture(keyed);
    deliver(keyed);
    domain::OrderId const unkeyed = place(draft(acme));
    read(unkeyed);
    decline(unkeyed);
    finish_cancelling(unkeyed);
    deliver(unkeyed);
    refuse(draft(acme), "key", Refusal::key_reused);
    store = final_store();
  }
};

/// Calls `show` with `event`, records and places as views of what it holds.
template <typename Show>
void as_view(const Event& event, Show show) {
  if (auto const* committed = std::get_if<Committed>(&event.what)) {
    show(CommittedView{committed->order, committed->receipt_bytes, committed->admitted_at,
                       committed->process});
    return;
  }
  auto const* const invoke = std::get_if<Invoke>(&event.what);
  auto const* const place =
      invoke == nullptr ? nullptr : std::get_if<PlaceRequest>(&invoke->request);
  if (place == nullptr) {
    std::visit(show, event.what);
    return;
  }
  domain::Order order;
  order.tenant = invoke->tenant;
  order.customer = place->content.customer;
  order.items = place->content.items;
  order.total = place->content.total;
  order.payment_method = place->content.payment_method;
  order.metadata = place->content.metadata;
  show(PlaceView{invoke->operation, order, place->key, place->fingerprint});
}

Found found_in(const Report& report) {
  Found found;
  for (const Finding& finding : report.findings) {
    found.emplace_back(finding.invariant, finding.subject, finding.detail);
  }
  return found;
}

/// What is found in the history without its event at `left_out`: of events, of views, and of
/// copies that were made of views.
struct ThreeWays {
  Found events, views, copies;
};
ThreeWays judged(const Story& story, std::size_t left_out) {
  History events;
  History views;
  History copies;
  for (std::size_t index = 0; index < story.events.size(); ++index) {
    if (index == left_out) continue;
    const Event& event = story.events[index];
    events.add(event);
    as_view(event, [&](const auto& what) {
      views.add(event.at, what);
      copies.add({event.at, OccurrencePointer(what).copy()});
    });
  }
  return {found_in(events.finish(story.store)), found_in(views.finish(story.store)),
          found_in(copies.finish(story.store))};
}

TEST(HistoryViews, ASoundHistoryIsSoundHoweverItIsTold) {
  Story const story;
  ThreeWays const found = judged(story, story.events.size());
  EXPECT_TRUE(found.events.empty());
  EXPECT_TRUE(found.views.empty());
  EXPECT_TRUE(found.copies.empty());
}

TEST(HistoryViews, WhateverIsLeftOutIsFoundTheSameWay) {
  Story const story;
  std::size_t broken = 0;
  for (std::size_t index = 0; index < story.events.size(); ++index) {
    // Without its beginning an operation cannot end: that would be the feeder's bug.
    if (std::holds_alternative<Invoke>(story.events[index].what)) continue;
    ThreeWays const found = judged(story, index);
    EXPECT_EQ(found.events, found.views) << index;
    EXPECT_EQ(found.events, found.copies) << index;
    if (!found.events.empty()) ++broken;
  }
  EXPECT_GT(broken, 10U);
}

}  // namespace
}  // namespace penstock::checker
