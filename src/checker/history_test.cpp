#include "checker/history.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "checker/audit.h"
#include "checker/clean_history.h"

namespace penstock::checker {
namespace {

using domain::OrderId;
using domain::Status;

/// Orders of every ending, replays, refusals and reads, of two tenants who use the same key. A test
/// changes one thing.
struct Story : HistoryWriter {
  domain::TenantId acme = tenant("acme");
  domain::TenantId globex = tenant("globex");
  domain::Order first;
  OrderId fulfilled, cancelled, declined, rejected, foreign;
  FinalStore store;

  Story() {
    open_tenant(acme, 10);
    open_tenant(globex, 5);
    restock(acme, 10);
    first = draft(acme);
    fulfilled = place(first, "key");
    replay(first, "key");
    capture(fulfilled);
    record_capture(fulfilled);
    deliver(fulfilled);
    deliver(fulfilled);
    read(fulfilled);
    cancelled = place(draft(acme));
    capture(cancelled);
    cancel(cancelled);
    record_capture(cancelled);
    read(cancelled);
    refund(cancelled);
    deliver(cancelled);
    declined = place(draft(acme));
    decline(declined);
    finish_cancelling(declined);
    deliver(declined);
    rejected = place(draft(acme, 500));
    deliver(rejected);
    refuse(draft(acme), std::nullopt, Refusal::reduced_capacity);
    refuse(draft(acme), "key", Refusal::key_reused);
    foreign = place(draft(globex), "key");
    capture(foreign);
    record_capture(foreign);
    deliver(foreign);
    store = final_store();
  }

  /// The nth event of a kind.
  template <typename What>
  What& the(std::size_t number = 0) {
    return std::get<What>(event<What>(number)->what);
  }
  template <typename What>
  std::vector<Event>::iterator event(std::size_t number = 0) {
    for (auto at = events.begin(); at != events.end(); ++at) {
      if (std::holds_alternative<What>(at->what) && number-- == 0) return at;
    }
    throw std::out_of_range("no such event");
  }
  /// The answer to the nth request of a kind.
  template <typename Request>
  Complete& answer_to(std::size_t number = 0) {
    for (const Event& event : events) {
      auto const* const invoke = std::get_if<Invoke>(&event.what);
      if (invoke == nullptr || !std::holds_alternative<Request>(invoke->request)) continue;
      if (number-- > 0) continue;
      for (Event& later : events) {
        auto* const complete = std::get_if<Complete>(&later.what);
        if (complete != nullptr && complete->operation == invoke->operation) return *complete;
      }
    }
    throw std::out_of_range("no such answer");
  }
  FinalStore::StoredOrder& stored(const OrderId& id) {
    return *std::ranges::find(store.orders, id, [](auto const& entry) { return entry.order.id; });
  }
  Committed& commit_of(const OrderId& id, std::size_t number = 0) {
    for (Event& event : events) {
      auto* const commit = std::get_if<Committed>(&event.what);
      if (commit != nullptr && commit->order.id == id && number-- == 0) return *commit;
    }
    throw std::out_of_range("no such commit");
  }
  /// From here on everything happens after the story.
  void retell() { store = final_store(); }
};

std::string told(const Report& report) {
  std::string text;
  for (const Finding& finding : report.findings) {
    text += std::string(to_string(finding.invariant)) + ": " + finding.subject + ": " +
            finding.detail + "\n";
  }
  return text;
}

void expect_clean(const Story& story, HistoryOptions options = {}) {
  Report const report = judge(story.events, story.store, options);
  EXPECT_TRUE(report.clean()) << told(report);
}

void expect_broken(const Story& story, Invariant invariant, HistoryOptions options = {}) {
  Report const report = judge(story.events, story.store, options);
  EXPECT_GT(report.broken.at(static_cast<std::size_t>(invariant)), 0U)
      << to_string(invariant) << " is not among\n"
      << told(report);
}

/// The same store and clients, without the tap.
Story without_tap(Story story) {
  story.events = without_commits(std::move(story.events));
  return story;
}

TEST(History, a_correct_story_is_clean_with_and_without_the_stores_commits) {
  expect_clean(Story{});
  expect_clean(without_tap(Story{}), final_only());
}

TEST(History, only_what_there_is_evidence_for_counts_as_judged) {
  auto const judged = [](Report const& report, std::vector<Invariant> const& invariants) {
    std::vector<bool> each;
    for (Invariant const invariant : invariants) each.push_back(report.judged(invariant));
    return each;
  };
  std::vector<Invariant> const asked{Invariant::readable, Invariant::one_capture,
                                     Invariant::reads_linearizable, Invariant::everything_ends,
                                     Invariant::nothing_stored_is_lost};
  using Judged = std::vector<bool>;
  EXPECT_EQ(judged(Audit().finish(), asked), (Judged{true, false, false, false, false}));
  Audit with_ledger;
  with_ledger.use_ledger(LedgerScope::this_store);
  EXPECT_EQ(judged(with_ledger.finish(), asked), (Judged{true, true, false, false, false}));
  HistoryOptions alone = final_only();
  alone.ledger = LedgerFeed::absent;
  EXPECT_EQ(judged(History(alone).finish(Quiescence::not_claimed), asked),
            (Judged{true, false, true, false, false}));
  EXPECT_EQ(judged(History(final_only()).finish(Quiescence::reached), asked),
            (Judged{true, true, true, true, false}));
  EXPECT_EQ(judged(History(HistoryOptions{}).finish(Quiescence::reached), asked),
            (Judged{true, true, true, true, true}));
}

TEST(History, an_order_acknowledged_before_it_was_stored_is_found_at_once) {
  Story story;
  auto const commit = story.event<Committed>();
  Event const later = *commit;
  story.events.erase(commit);
  History history;
  for (const Event& event : story.events) {
    if (!history.so_far().clean()) break;
    history.add(event);
    auto const* const complete = std::get_if<Complete>(&event.what);
    if (complete == nullptr || !complete->order) continue;
    EXPECT_FALSE(history.so_far().clean());
    break;
  }
  expect_broken(story, Invariant::acknowledged_is_stored);
}

TEST(History, an_acknowledged_order_that_is_gone_at_the_end_is_found) {
  Story story;
  std::erase_if(story.store.orders,
                [&](auto const& entry) { return entry.order.id == story.rejected; });
  expect_broken(story, Invariant::nothing_stored_is_lost);
  expect_broken(without_tap(story), Invariant::acknowledged_is_stored, final_only());
}

TEST(History, an_acknowledged_change_of_stock_that_is_not_stored_is_found) {
  Story story;
  story.events.erase(story.event<Restocked>());
  expect_broken(story, Invariant::acknowledged_is_stored);
}

TEST(History, an_order_that_nobody_submitted_is_found) {
  Story story;
  story.accept(story.draft(story.acme), std::nullopt);
  story.retell();
  expect_broken(story, Invariant::stored_was_submitted);
  Story untapped = without_tap(story);
  untapped.store.quiescence = Quiescence::not_claimed;
  expect_broken(untapped, Invariant::stored_was_submitted, final_only());
}

TEST(History, an_order_stored_with_another_content_is_found) {
  Story story;
  story.commit_of(story.declined).order.customer = domain::CustomerId::unchecked("somebody");
  expect_broken(story, Invariant::stored_was_submitted);
  Story untapped = without_tap(Story{});
  untapped.stored(untapped.declined).order.payment_method = "pm_other";
  expect_broken(untapped, Invariant::stored_was_submitted, final_only());
}

TEST(History, a_refused_order_that_was_stored_is_found) {
  Story story;
  auto const draft = story.draft(story.acme);
  auto const operation = story.invoke(story.acme, Story::request_of(draft, std::nullopt));
  story.accept(draft, std::nullopt);
  story.add(Complete{
      .operation = operation, .result = Result::refused, .refusal = Refusal::quota_exceeded});
  story.retell();
  story.store.quiescence = Quiescence::not_claimed;
  expect_broken(story, Invariant::stored_was_submitted);
  expect_broken(without_tap(story), Invariant::stored_was_submitted, final_only());
}

TEST(History, an_unknown_outcome_may_have_stored_an_order_and_may_not) {
  Story story;
  story.store.quiescence = Quiescence::not_claimed;
  auto const lost = story.draft(story.acme);
  auto const landed = story.draft(story.acme);
  auto const late = story.draft(story.acme);
  auto const one = story.invoke(story.acme, Story::request_of(lost, std::nullopt));
  auto const two = story.invoke(story.acme, Story::request_of(landed, "landed"));
  auto const three = story.invoke(story.acme, Story::request_of(late, std::nullopt));
  story.accept(landed, "landed");
  for (auto const operation : {one, two, three}) {
    story.add(Complete{.operation = operation, .result = Result::unknown});
  }
  story.accept(late, std::nullopt);
  story.retell();
  story.store.quiescence = Quiescence::not_claimed;
  expect_clean(story);
  expect_clean(without_tap(story), final_only());
}

TEST(History, two_orders_for_one_submission_are_found) {
  Story story;
  auto draft = story.draft(story.acme);
  auto twin = draft;
  twin.id = OrderId::make(kStart, 7, 7777);
  story.place(draft);
  story.accept(twin, std::nullopt);
  story.retell();
  expect_broken(story, Invariant::stored_was_submitted);
}

TEST(History, a_commit_behind_the_end_is_found) {
  Story story;
  domain::Order again = story.order(story.rejected);
  again.version.number += 1;
  again.timeline.push_back(
      {.version = again.version, .at = kStart, .from = Status::rejected, .to = Status::reserved});
  again.status = Status::reserved;
  story.add(Committed{.order = again, .admitted_at = {}});
  expect_broken(story, Invariant::one_terminal_state);
}

TEST(History, an_illegal_move_is_found) {
  Story story;
  domain::Order& order = story.commit_of(story.declined, 1).order;
  order.status = Status::charged;
  order.timeline.back().from = Status::placed;
  expect_broken(story, Invariant::legal_transitions);
}

TEST(History, a_version_that_is_missing_or_rewritten_is_found) {
  Story gap;
  domain::Order& jumped = gap.commit_of(gap.declined, 1).order;
  jumped.version.number += 1;
  expect_broken(gap, Invariant::versions_without_gaps);
  Story rewritten;
  rewritten.commit_of(rewritten.declined, 1).order.timeline[1].attempt = 9;
  expect_broken(rewritten, Invariant::versions_without_gaps);
  Story twice;
  auto const at = twice.event<Committed>(2);
  twice.events.insert(at, *at);
  expect_broken(twice, Invariant::versions_without_gaps);
}

TEST(History, an_order_that_never_ends_is_found_only_where_the_world_was_kind) {
  Story story;
  story.place(story.draft(story.acme));
  story.retell();
  expect_broken(story, Invariant::everything_ends);
  story.store.quiescence = Quiescence::not_claimed;
  expect_clean(story);
}

TEST(History, a_dead_letter_beyond_its_hold_is_found) {
  Story story;
  auto const id = story.place(story.draft(story.acme));
  domain::Order const failed =
      after(story.order(id), domain::EffectKind::charge, domain::OutcomeKind::permanent);
  story.add(Closed{story.act(id, "/charge")});
  story.commit(after(failed, domain::EffectKind::close_charge, domain::OutcomeKind::closed));
  story.retell();
  story.store.wall = kStart + domain::Duration::hours(1);
  expect_clean(story);
  story.store.wall = kStart + domain::Duration::hours(25);
  expect_broken(story, Invariant::everything_ends);
}

TEST(History, money_that_moves_wrongly_is_found) {
  Story twice;
  auto const capture = twice.event<Captured>();
  twice.events.insert(capture, *capture);
  expect_broken(twice, Invariant::one_capture);

  Story part;
  part.the<Refunded>().amount.minor_units -= 1;
  expect_broken(part, Invariant::all_or_nothing);
  expect_broken(part, Invariant::money_balances);

  Story more;
  auto const refund = more.event<Refunded>();
  more.events.insert(refund, *refund);
  expect_broken(more, Invariant::refund_within_capture);

  Story kept;
  kept.events.erase(kept.event<Refunded>());
  expect_broken(kept, Invariant::ended_pays_back);

  Story free;
  free.events.erase(free.event<Captured>());
  expect_broken(free, Invariant::fulfilled_captured);
  expect_broken(free, Invariant::record_matches_ledger);

  Story foreign;
  foreign.the<Captured>().amount.currency = *domain::Currency::parse("EUR");
  expect_broken(foreign, Invariant::same_key_same_parameters);
}

TEST(History, a_charge_before_its_commit_or_under_a_closed_key_is_found) {
  Story early;
  auto const asked = early.event<ChargeAsked>();
  Event moved = *asked;
  early.events.erase(asked);
  auto const commit = early.event<Committed>();
  moved.at = commit->at;
  early.events.insert(commit, moved);
  expect_broken(early, Invariant::stored_once);

  Story closed;
  closed.add(Captured{closed.act(closed.declined, "/charge")});
  expect_broken(closed, Invariant::record_matches_ledger);

  Story guessed;  // a timeout taken for a decline
  guessed.events.erase(guessed.event<Declined>());
  expect_broken(guessed, Invariant::record_matches_ledger);

  Story other_key;
  other_key.the<ChargeAsked>().key += "x";
  expect_broken(other_key, Invariant::same_key_same_parameters);
}

TEST(History, stock_that_is_not_the_sum_of_its_movements_is_found) {
  Story set;
  set.the<StockSet>().stock.received += 1;
  expect_broken(set, Invariant::stock_balances);
  Story shown;
  shown.the<StockNow>(2).stock.reserved -= 1;
  expect_broken(shown, Invariant::stock_balances);
  Story last;
  last.store.stock[0].stock.received -= 1;
  expect_broken(last, Invariant::stock_balances);
  expect_broken(without_tap(last), Invariant::stock_balances, final_only());
  Story gone;
  gone.store.stock.clear();
  expect_broken(gone, Invariant::nothing_stored_is_lost);
}

TEST(History, an_oversold_product_is_found_while_it_happens) {
  Story story;
  auto const draft = story.draft(story.acme, 500);
  auto const operation = story.invoke(story.acme, Story::request_of(draft, std::nullopt));
  story.add(Committed{.order = next_of(draft), .admitted_at = {}});
  expect_broken(story, Invariant::no_negative_term);
  static_cast<void>(operation);
}

TEST(History, a_reservation_that_outlives_its_order_is_found) {
  Story story;
  story.commit_of(story.declined, 1).order.holds_stock = true;
  expect_broken(story, Invariant::reservation_ends);
}

TEST(History, a_replay_of_other_bytes_or_of_another_order_is_found) {
  Story bytes;
  bytes.answer_to<PlaceRequest>(1).body_digest += 1;
  expect_broken(bytes, Invariant::replay_is_identical);
  expect_broken(without_tap(bytes), Invariant::replay_is_identical, final_only());

  Story other;
  other.answer_to<PlaceRequest>(1).order = other.cancelled;
  expect_broken(other, Invariant::replay_is_identical);

  Story fresh;
  fresh.answer_to<PlaceRequest>(1).freshness = Freshness::fresh;
  expect_broken(fresh, Invariant::replay_is_identical);

  Story limited;
  limited.refuse(limited.first, "key", Refusal::quota_exceeded);
  expect_broken(limited, Invariant::replay_is_identical);

  Story second;
  auto twin = second.first;
  twin.id = OrderId::make(kStart, 7, 7777);
  auto const operation = second.invoke(second.acme, Story::request_of(second.first, "key"));
  second.accept(twin, "key");
  second.answer(operation, twin.id, Freshness::fresh);
  expect_broken(second, Invariant::replay_is_identical);
}

TEST(History, a_key_may_begin_another_life_after_it_expired) {
  Story story;
  auto draft = story.draft(story.acme);
  auto const operation = story.invoke(story.acme, Story::request_of(draft, "key"));
  story.accept(draft, "key");
  story.the<KeyStored>(2).decided_at = kStart + domain::Duration::hours(168);
  story.answer(operation, draft.id, Freshness::fresh);
  story.retell();
  story.store.quiescence = Quiescence::not_claimed;
  std::erase_if(story.store.keys,
                [&](auto const& entry) { return entry.record.order == story.fulfilled; });
  expect_clean(story);
  story.the<KeyStored>(2).decided_at = kStart + domain::Duration::hours(167);
  expect_broken(story, Invariant::replay_is_identical);
  // A clock that was set back since: the key may have been removed when its time had come.
  story.the<GroupEnded>().wall = kStart + domain::Duration::hours(168);
  expect_clean(story);
}

TEST(History, an_answer_may_be_of_any_life_that_its_key_had_since_it_was_asked_for) {
  Story story;
  std::vector<domain::Order> lives;
  for (std::size_t life = 0; life < 3; ++life) lives.push_back(story.draft(story.acme));
  auto const slow = story.invoke(story.acme, Story::request_of(lives[0], "key"));
  for (std::size_t life = 0; life < 3; ++life) {
    auto const operation = story.invoke(story.acme, Story::request_of(lives[life], "key"));
    story.accept(lives[life], "key");
    story.the<KeyStored>(2 + life).decided_at = kStart + domain::Duration::hours(168);
    story.answer(operation, lives[life].id, Freshness::fresh);
  }
  story.answer(slow, lives[0].id, Freshness::replayed);
  story.retell();
  story.store.quiescence = Quiescence::not_claimed;
  std::erase_if(story.store.keys, [&](auto const& entry) {
    return entry.record.order == story.fulfilled || entry.record.order == lives[0].id ||
           entry.record.order == lives[1].id;
  });
  expect_clean(story);
  auto const late = story.invoke(story.acme, Story::request_of(lives[0], "key"));
  story.answer(late, lives[0].id, Freshness::replayed);
  expect_broken(story, Invariant::other_payload_changes_nothing);
}

TEST(History, an_answer_from_a_key_that_expired_or_that_nobody_stored_is_found) {
  Story story;
  auto const key = domain::IdempotencyKey::unchecked("key");
  domain::Instant const expires = story.the<KeyStored>().record.expires_at;
  story.add(KeyAnswered{story.acme, key, expires + domain::Duration{-1}});
  expect_clean(story);
  Story late = story;
  late.add(KeyAnswered{story.acme, key, expires});
  expect_broken(late, Invariant::replay_is_identical);
  Story unknown = story;
  unknown.add(KeyAnswered{story.acme, domain::IdempotencyKey::unchecked("other"), kStart});
  expect_broken(unknown, Invariant::replay_is_identical);
}

TEST(History, another_payload_under_a_key_changes_nothing_or_is_found) {
  Story story;
  auto const other = story.draft(story.acme);
  story.answer(story.invoke(story.acme, Story::request_of(other, "key")), story.fulfilled,
               Freshness::replayed);
  expect_broken(story, Invariant::other_payload_changes_nothing);
  expect_broken(without_tap(story), Invariant::other_payload_changes_nothing, final_only());
}

TEST(History, a_key_of_another_tenant_that_is_in_the_way_is_found) {
  Story refused;
  Complete& answer = refused.answer_to<PlaceRequest>(7);
  ASSERT_EQ(answer.order, refused.foreign);
  answer = {
      .operation = answer.operation, .result = Result::refused, .refusal = Refusal::key_reused};
  expect_broken(refused, Invariant::keys_per_tenant);
  Story given;
  given.answer_to<PlaceRequest>(7).order = given.fulfilled;
  expect_broken(given, Invariant::keys_per_tenant);
}

TEST(History, more_than_the_contract_admits_is_found_over_any_window) {
  Story story;
  for (int order = 0; order < 12; ++order) story.place(story.draft(story.acme, 1));
  story.retell();
  story.store.quiescence = Quiescence::not_claimed;
  expect_clean(story);  // one order in 2.5 s
  // The same orders in a tenth of the time.
  domain::Instant const zero = story.events.front().at;
  for (Event& event : story.events) event.at = zero + domain::Duration{(event.at - zero).us / 10};
  expect_broken(story, Invariant::admitted_within_contract);
  expect_broken(without_tap(story), Invariant::admitted_within_contract, final_only());
}

TEST(History, a_burst_that_was_small_for_a_while_is_not_given_back) {
  Story story;
  domain::BucketContract const small{.rate = {.micro_tokens = 1}, .burst = 1};
  domain::BucketContract const large{.rate = {.micro_tokens = 1}, .burst = 3};
  story.add(ContractStored{story.acme, small, {}});
  story.add(ContractStored{story.acme, large, {}});
  story.place(story.draft(story.acme, 1));
  story.retell();
  story.store.quiescence = Quiescence::not_claimed;
  expect_clean(story);
  story.place(story.draft(story.acme, 1));
  story.retell();
  story.store.quiescence = Quiescence::not_claimed;
  expect_broken(story, Invariant::admitted_within_contract);
}

TEST(History, more_tokens_than_a_bucket_holds_are_found) {
  Story story;
  story.answer_to<PlaceRequest>(2).remaining_tokens = 4;
  expect_broken(story, Invariant::admitted_within_contract);
}

TEST(History, an_order_that_another_tenant_sees_is_found) {
  Story story;
  story.invoke(story.globex, ReadRequest{story.fulfilled});
  story.end_read({story.the<Invoke>().operation.number + 13}, story.fulfilled);
  auto& last = std::get<Complete>(story.events.back().what);
  last.operation = std::get<Invoke>((story.events.end() - 2)->what).operation;
  expect_broken(story, Invariant::tenants_apart);
}

TEST(History, a_read_that_goes_back_is_found_and_one_that_overlaps_a_commit_is_not) {
  Story story;
  auto const id = story.place(story.draft(story.acme, 1));
  auto const overlapping = story.begin_read(id);
  domain::Order const before = story.order(id);
  story.capture(id);
  story.record_capture(id);
  story.deliver(id);
  story.add(Complete{.operation = overlapping,
                     .result = Result::ok,
                     .order = id,
                     .status = before.status,
                     .version = before.version});
  story.retell();
  expect_clean(story);
  expect_clean(without_tap(story), final_only());
  auto const behind = story.begin_read(id);
  story.add(Complete{.operation = behind,
                     .result = Result::ok,
                     .order = id,
                     .status = before.status,
                     .version = before.version});
  expect_broken(story, Invariant::reads_linearizable);
}

TEST(History, a_read_of_what_was_never_written_is_found) {
  Story ahead;
  ahead.answer_to<ReadRequest>().version.number += 1;
  expect_broken(ahead, Invariant::reads_linearizable);
  expect_broken(without_tap(ahead), Invariant::reads_linearizable, final_only());
  Story status;
  status.answer_to<ReadRequest>().status = Status::cancelled;
  expect_broken(status, Invariant::reads_linearizable);
  expect_broken(without_tap(status), Invariant::reads_linearizable, final_only());
  Story missing;
  Complete& answer = missing.answer_to<ReadRequest>();
  answer = {
      .operation = answer.operation, .result = Result::refused, .refusal = Refusal::not_found};
  expect_broken(missing, Invariant::reads_linearizable);
}

TEST(History, a_read_older_than_an_earlier_answer_is_found_without_the_stores_commits) {
  Story story = without_tap(Story{});
  auto const behind = story.begin_read(story.cancelled);
  story.end_read(behind, story.cancelled);
  auto& answer = std::get<Complete>(story.events.back().what);
  answer.version.number = 2;
  answer.status = Status::reserved;
  expect_broken(story, Invariant::reads_linearizable, final_only());
}

TEST(History, what_the_store_lost_after_it_was_committed_is_found) {
  Story story;
  story.stored(story.fulfilled).order = story.commit_of(story.fulfilled).order;
  story.stored(story.fulfilled).receipt = ReceiptPresence::absent;
  expect_broken(story, Invariant::nothing_stored_is_lost);
}

TEST(History, a_receipt_too_many_or_too_few_is_found_at_its_commit) {
  Story none;
  none.commit_of(none.fulfilled, 1).receipt_bytes = 0;
  expect_broken(none, Invariant::receipt_iff_fulfilled);
  Story extra;
  extra.commit_of(extra.rejected).receipt_bytes = 1;
  expect_broken(extra, Invariant::receipt_iff_fulfilled);
}

TEST(History, an_end_that_nobody_was_told_of_is_found) {
  Story story;
  std::erase_if(story.events, [&](const Event& event) {
    auto const* const delivered = std::get_if<Delivered>(&event.what);
    return delivered != nullptr && delivered->order == story.declined;
  });
  expect_broken(story, Invariant::ended_is_delivered);
  expect_broken(without_tap(story), Invariant::ended_is_delivered, final_only());
  story.store.deliveries = {{story.declined, FinalDelivery::gave_up}};
  expect_clean(story);
}

TEST(History, a_delivery_with_another_id_or_a_bad_signature_is_found) {
  Story id;
  id.the<Delivered>(1).webhook_id = "msg_other";
  expect_broken(id, Invariant::delivery_identity);
  Story shared;
  shared.the<Delivered>(2).webhook_id = shared.the<Delivered>(0).webhook_id;
  expect_broken(shared, Invariant::delivery_identity);
  Story forged;
  forged.the<Delivered>().signature = Signature::invalid;
  expect_broken(forged, Invariant::delivery_identity);
}

TEST(History, a_delivery_of_another_status_is_found) {
  Story story;
  story.the<Delivered>(3).status = Status::fulfilled;
  expect_broken(story, Invariant::delivery_of_ended);
  expect_broken(without_tap(story), Invariant::delivery_of_ended, final_only());
}

TEST(History, depths_that_the_records_do_not_show_are_found) {
  Story story;
  story.store.depths = FinalDepths{};
  expect_clean(story);
  story.store.depths->active = 1;
  expect_broken(story, Invariant::depths_add_up);
}

TEST(History, depths_that_the_commits_do_not_show_are_found_on_the_way) {
  Story story;
  OrderId const waits = story.place(story.draft(story.acme));
  story.add(DepthsNow{.active = 1});
  story.capture(waits);
  story.cancel(waits);
  story.record_capture(waits);
  story.add(DepthsNow{.active = 1, .owed_refunds = 1});
  story.refund(waits);
  story.add(DepthsNow{});
  story.deliver(waits);
  story.retell();
  expect_clean(story);
  for (std::size_t look = 0; look < 3; ++look) {
    Story refunds = story;
    refunds.the<DepthsNow>(look).owed_refunds ^= 1;
    expect_broken(refunds, Invariant::depths_add_up);
    Story active = story;
    active.the<DepthsNow>(look).active += 1;
    expect_broken(active, Invariant::depths_add_up);
  }
  story.the<DepthsNow>().open_dead_letters = 1;
  expect_broken(story, Invariant::depths_add_up);
}

TEST(History, a_capture_under_another_reference_than_the_gateways_is_found) {
  Story story;
  story.the<Captured>().reference = "ch_2";
  expect_broken(story, Invariant::record_matches_ledger);
}

TEST(History, a_failure_that_no_peer_reported_is_found) {
  constexpr HistoryOptions kFollowed{.failures = FailureFeed::followed};
  Story story;
  OrderId const id = story.place(story.draft(story.acme));
  story.add(PeerFailed{id, PeerFailure::charge});
  story.commit(after(story.order(id), domain::EffectKind::charge, domain::OutcomeKind::transient));
  story.capture(id);
  story.record_capture(id);
  story.deliver(id);
  story.retell();
  expect_clean(story, kFollowed);
  Story guessed = story;
  guessed.events.erase(guessed.event<PeerFailed>());
  expect_broken(guessed, Invariant::bounded_attempts, kFollowed);
  Story of_another = story;
  of_another.the<PeerFailed>().what = PeerFailure::handover;
  expect_broken(of_another, Invariant::bounded_attempts, kFollowed);
}

TEST(History, a_webhook_that_is_disabled_and_was_not_gone_is_found) {
  Story story;
  ContractStored disabled{story.acme, {.rate = {.micro_tokens = 1'000'000}, .burst = 3}, {}};
  disabled.disabled_endpoint = 5;
  story.add(EndpointGone{story.acme, 5});
  story.add(disabled);
  expect_clean(story);
  disabled.disabled_endpoint = 6;
  story.add(disabled);
  expect_broken(story, Invariant::ended_is_delivered);
}

TEST(History, a_contract_that_undoes_what_somebody_else_put_is_found) {
  Story story;
  auto const put = [&](std::uint64_t content) {
    auto const operation = story.invoke(
        story.acme, PutContractRequest{{.rate = {.micro_tokens = 1'000'000}, .burst = 3}, content});
    story.add(
        ContractStored{story.acme, {.rate = {.micro_tokens = 1'000'000}, .burst = 3}, {}, content});
    story.add(Complete{.operation = operation, .result = Result::ok});
  };
  auto const store = [&](std::uint64_t content) {
    story.add(
        ContractStored{story.acme, {.rate = {.micro_tokens = 1'000'000}, .burst = 3}, {}, content});
  };
  put(7);
  store(7);  // its webhook was disabled
  put(8);
  expect_clean(story);
  Story lost = story;
  store(7);
  expect_broken(story, Invariant::stored_was_submitted);
  auto const unheard = lost.invoke(
      lost.acme, PutContractRequest{{.rate = {.micro_tokens = 1'000'000}, .burst = 3}, 9});
  lost.add(Complete{.operation = unheard, .result = Result::ok});
  expect_broken(lost, Invariant::acknowledged_is_stored);
}

TEST(History, a_contract_asked_for_twice_may_be_stored_again_after_it_was_disabled) {
  Story story;
  ContractStored stored{
      story.acme, {.rate = {.micro_tokens = 1'000'000}, .burst = 3}, {}, /*content=*/7};
  auto const ask = [&](std::uint64_t content) {
    story.invoke(story.acme,
                 PutContractRequest{{.rate = {.micro_tokens = 1'000'000}, .burst = 3}, content});
  };
  ask(7);
  ask(7);
  story.add(stored);
  story.add(EndpointGone{story.acme, 5});
  ContractStored disabled = stored;
  disabled.disabled_endpoint = 5;
  story.add(disabled);
  ask(8);
  stored.content = 8;
  story.add(stored);
  stored.content = 7;
  story.add(stored);  // the second request, late
  expect_clean(story);
  story.add(disabled);
  stored.content = 8;
  story.add(stored);
  expect_broken(story, Invariant::stored_was_submitted);
}

TEST(History, an_acknowledged_cancel_that_is_fulfilled_is_found) {
  Story story;
  Complete& read = story.answer_to<CancelRequest>();
  ASSERT_EQ(read.order, story.cancelled);
  auto const late = story.invoke(story.acme, CancelRequest{story.fulfilled});
  story.add(Complete{.operation = late, .result = Result::ok});
  expect_broken(story, Invariant::acknowledged_cancel);
  expect_broken(without_tap(story), Invariant::acknowledged_cancel, final_only());
}

TEST(History, a_cancel_refused_as_too_late_of_an_order_that_goes_on_is_found) {
  Story story;
  Complete& answer = story.answer_to<CancelRequest>();
  answer = {.operation = answer.operation,
            .result = Result::refused,
            .refusal = Refusal::already_terminal};
  expect_broken(story, Invariant::acknowledged_cancel);
  expect_broken(without_tap(story), Invariant::acknowledged_cancel, final_only());
}

TEST(History, an_answer_after_a_failed_sync_is_found_until_the_next_start) {
  Story story;
  story.add(SyncFailed{});
  story.add(Started{});
  story.place(story.draft(story.acme, 1));
  story.retell();
  story.store.quiescence = Quiescence::not_claimed;
  expect_clean(story);
  story.events.erase(story.event<Started>());
  expect_broken(story, Invariant::silent_after_failed_sync);
}

TEST(HistoryDeathTest, a_feeder_that_goes_back_in_time_is_stopped) {
  History history;
  history.add({domain::Instant{5}, FaultsStopped{}});
  EXPECT_DEATH(history.add({domain::Instant{4}, FaultsStopped{}}), "goes back in time");
}

}  // namespace
}  // namespace penstock::checker
