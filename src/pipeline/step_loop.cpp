#include "pipeline/step_loop.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "domain/limits.h"
#include "pipeline/receipt.h"

namespace penstock::pipeline {

using domain::Advance;
using domain::EffectKind;
using domain::Now;
using domain::Order;
using domain::OutcomeKind;
using domain::Stage;

namespace {

constexpr std::array kDrivenStages{Stage::inventory, Stage::payment, Stage::fulfillment};
/// How long an order that must run alone gives way to what is in flight.
constexpr domain::Duration kGiveWay = domain::Duration::milliseconds(10);
/// How soon a poll follows that has nothing else to wait for than room.
constexpr domain::Duration kLook = domain::Duration::milliseconds(50);
/// How long a charge is held back while dead letters or owed refunds are at their bound.
constexpr domain::Duration kHoldBack = domain::Duration::seconds(1);
/// How often orders without an answer are looked at that are long overdue, and how many at once.
constexpr domain::Duration kLimboLook = domain::Duration::seconds(10);
constexpr domain::Duration kLimboOverdue = domain::Duration::seconds(60);
constexpr std::size_t kMaxLimboLooks = 256;

std::size_t index_of(Stage stage) {
  return static_cast<std::size_t>(stage);
}

Stage stage_of_effect(EffectKind kind) {
  switch (kind) {
    case EffectKind::charge:
    case EffectKind::find_charge:
    case EffectKind::close_charge:
    case EffectKind::refund:
      return Stage::payment;
    case EffectKind::fulfill:
    case EffectKind::find_fulfillment:
    case EffectKind::close_fulfillment:
      return Stage::fulfillment;
  }
  return Stage::payment;
}

}  // namespace

StepLoop::StepLoop(Parts parts, const PipelineOptions& options, CommitQueue& commits, Meter& meter,
                   std::function<void(const Landing&)> landed,
                   std::function<bool(const domain::OrderId&)> is_waited_for, Now now)
    : parts_(parts),
      options_(options),
      commits_(commits),
      meter_(meter),
      landed_(std::move(landed)),
      is_waited_for_(std::move(is_waited_for)),
      careful_(parts.store, now),
      outages_(parts.log),
      places_(options),
      bounds_(parts.store, parts.reader, parts.log),
      now_(now) {}

void StepLoop::take_replies(Now now) {
  now_ = now;
  gateway_replies_.clear();
  parts_.gateway.poll(gateway_replies_, now);
  fulfillment_replies_.clear();
  if (parts_.fulfiller != nullptr) parts_.fulfiller->poll(fulfillment_replies_);
  if (careful_.careful()) {
    const auto add = [&](std::uint64_t ticket) {
      if (const auto found = in_flight_.find(ticket); found != in_flight_.end()) {
        add_running(found->second.order.id);
      }
    };
    for (const auto& answered : gateway_replies_) add(answered.ticket);
    for (const auto& answered : fulfillment_replies_) add(answered.ticket);
    // Without its mark an outcome is still not dropped: a store that stopped takes no commit.
    static_cast<void>(careful_.mark(running_));
  }
  for (auto& answered : gateway_replies_) reply(answered.ticket, std::move(answered.outcome), now);
  for (auto& answered : fulfillment_replies_) {
    reply(answered.ticket, std::move(answered.outcome), now);
  }
}

void StepLoop::reply(std::uint64_t ticket, domain::Outcome outcome, Now now) {
  auto entry = in_flight_.extract(ticket);
  if (entry.empty()) return;
  places_.begin(entry.mapped().place);
  settle(std::move(entry.mapped()), std::move(outcome), now);
  places_.end();
}

void StepLoop::settle(InFlight&& flight, domain::Outcome&& outcome, Now now) {
  const Stage stage = stage_of_effect(flight.kind);
  in_flight_by_stage_[index_of(stage)] -= 1;
  meter_.effect(flight.kind, outcome.kind);
  pauses_[index_of(stage)].heard(outcome, now.wall);
  outages_.look(stage, pauses_[index_of(stage)], now.wall);
  // The lease went with the commit that moved the order (a cancel): somebody else is at it now, and
  // what tells nothing is no reason to ask, to wait or to give a lease back.
  if (tells_nothing(flight.kind, outcome.kind) &&
      has_moved(flight.order.id, flight.order.version)) {
    return;
  }
  note_answer(flight, outcome);
  std::uint32_t failures = 1;
  if (!limbo_.empty()) {
    if (const auto found = limbo_.find(flight.order.id); found != limbo_.end()) {
      failures = std::max(1U, found->second.failures);
    }
  }
  domain::Step step =
      after_effect(flight.order, flight.kind, outcome, options_.saga, moment(now), failures);
  const std::uint16_t generation = flight.order.key_generation;
  proceed(std::move(flight.order), std::move(step),
          {.effect = flight.kind, .outcome = std::move(outcome), .generation = generation}, now);
}

bool StepLoop::has_moved(const domain::OrderId& order, domain::Version version) const {
  const auto stored = parts_.reader.find(order);
  return stored && (!*stored || (*stored)->order.version != version);
}

// Where others share the store, an order without an answer may be taken over and settled by them
// once its lease has ended: nothing here would ever hear of it again.
void StepLoop::forget_what_others_settled(Now now) {
  if (limbo_.empty() || now.wall - limbo_looked_at_ < kLimboLook) return;
  limbo_looked_at_ = now.wall;
  std::size_t looks = kMaxLimboLooks;
  for (auto entry = limbo_.begin(); entry != limbo_.end() && looks > 0;) {
    Limbo& limbo = entry->second;
    const domain::Instant heard_of = std::max(limbo.next_try, limbo.looked_at);
    const bool overdue = now.wall - heard_of >= kLimboOverdue;
    if (overdue) {
      looks -= 1;
      limbo.looked_at = now.wall;
    }
    entry =
        overdue && has_moved(entry->first, limbo.version) ? limbo_.erase(entry) : std::next(entry);
  }
}

void StepLoop::note_answer(const InFlight& flight, const domain::Outcome& outcome) {
  if (settles(flight.kind, outcome.kind)) {
    if (!limbo_.empty()) limbo_.erase(flight.order.id);
    return;
  }
  Limbo& limbo = limbo_[flight.order.id];
  limbo.tenant = flight.order.tenant;
  limbo.version = flight.order.version;
  limbo.stage = stage_of_effect(flight.kind);
  limbo.waits_since = flight.order.updated_at;
  limbo.trouble = outcome.trouble;
  limbo.detail = outcome.detail;
  // While a peer cannot be reached its stage pauses, and no order has to back off for that.
  const bool of_all =
      outcome.kind == OutcomeKind::unavailable && outcome.trouble != domain::Trouble::overloaded;
  if (!of_all) limbo.failures += 1;
  if (outcome.kind != OutcomeKind::unknown && outcome.kind != OutcomeKind::not_found) return;
  if (limbo.unanswered == 0) limbo.since = flight.since;
  limbo.unanswered += 1;
}

void StepLoop::proceed(Order&& order, domain::Step&& step, Cause&& cause, Now now) {
  if (auto* wait = std::get_if<domain::Wait>(&step)) {
    if (!limbo_.empty()) {
      if (const auto found = limbo_.find(order.id); found != limbo_.end()) {
        found->second.next_try = wait->until;
      }
    }
    if (cause.holds_lease) parts_.store.release(order.id, std::max(wait->until, now.wall));
    return;
  }
  if (auto* effect = std::get_if<domain::Effect>(&step)) {
    // Without the lease somebody else is at this order and will ask for what it needs.
    if (cause.holds_lease) want(std::move(order), std::move(*effect), now);
    return;
  }
  auto& advance = std::get<Advance>(step);
  if (!limbo_.empty()) {
    // A failure that is recorded: the order is tried again when it is due.
    if (const auto found = limbo_.find(order.id); found != limbo_.end()) {
      found->second.next_try = advance.next.due;
      found->second.version = advance.next.version;
    }
  }
  chain(advance, now);
  commit_decided(order.version, std::move(advance), std::move(cause));
}

// Steps share a commit where no effect lies between them and stock moves only once. A reservation
// ends the chain: the store may turn it into a rejection.
void StepLoop::chain(Advance& advance, Now now) {
  while (advance.stock != domain::StockMove::reserve && !is_terminal(advance.next.status)) {
    const auto stage = stage_of(advance.next.status);
    if (!stage || !runs(*stage)) break;
    domain::Step step = next_step(advance.next, options_.saga, moment(now));
    auto* further = std::get_if<Advance>(&step);
    if (further == nullptr) break;
    const bool both_move =
        advance.stock != domain::StockMove::none && further->stock != domain::StockMove::none;
    if (both_move) break;
    if (further->stock == domain::StockMove::none) further->stock = advance.stock;
    advance = std::move(*further);
  }
}

void StepLoop::commit_decided(domain::Version read, Advance&& advance, Cause&& cause) {
  if (careful_.careful()) committing_.push_back(advance.next.id);
  commit(read, std::move(advance),
         [this, cause = std::move(cause)](
             std::expected<ports::CommandResult, ports::StoreError>&& result) mutable {
           if (!result) return;
           auto& committed = std::get<ports::CommitResult>(*result);
           if (committed.outcome == ports::CommitOutcome::stale && committed.current) {
             meter_.stale_commit();
             decide_again(*committed.current, cause);
           }
         });
}

// A stale commit is discarded, the outcome of its effect never. The lease went with the commit that
// came first.
void StepLoop::decide_again(const Order& current, const Cause& cause) {
  if (!cause.effect || is_terminal(current.status)) return;
  // An old key was closed before a new one came into use: what it says is settled, and says nothing
  // of the new one.
  if (current.key_generation != cause.generation) return;
  domain::Step step =
      after_effect(current, *cause.effect, cause.outcome, options_.saga, moment(now_), 1);
  Cause again = cause;
  again.holds_lease = false;
  proceed(Order(current), std::move(step), std::move(again), now_);
}

void StepLoop::commit(domain::Version read, Advance&& advance, Then&& then) {
  const bool log_steps = parts_.log.enabled(ports::LogLevel::debug);
  Landing landing = landing_of(advance.next, read, log_steps);
  if (is_terminal(landing.status) && is_waited_for_(landing.order)) {
    landing.ended = std::make_shared<const Order>(advance.next);
  }
  ports::Commit command;
  command.next = std::move(advance.next);
  command.read = read;
  command.stock = advance.stock;
  if (command.next.status == domain::Status::fulfilled) {
    command.receipt = render_receipt(command.next);
  }
  commits_.add(std::move(command),
               [this, read, log_steps, landing = std::move(landing), then = std::move(then)](
                   std::expected<ports::CommandResult, ports::StoreError>&& result) mutable {
                 if (result) {
                   const auto& committed = std::get<ports::CommitResult>(*result);
                   if (committed.outcome == ports::CommitOutcome::committed) {
                     landed_(landing);
                   } else if (committed.outcome == ports::CommitOutcome::short_of_stock) {
                     landed_(landing_of(*committed.current, read, log_steps));
                   }
                 }
                 if (then) then(std::move(result));
               });
}

bool StepLoop::runs(Stage stage) const {
  switch (stage) {
    case Stage::inventory:
      return options_.stages.inventory;
    case Stage::payment:
      return options_.stages.payment;
    case Stage::fulfillment:
      return options_.stages.fulfillment;
    default:
      return false;
  }
}

std::size_t StepLoop::room(Stage stage, Now now) const {
  const StagePause& pause = pauses_[index_of(stage)];
  if (!runs(stage) || pause.paused(now.wall) || alone_) return 0;
  std::size_t limit = options_.max_batch;
  if (stage == Stage::payment) limit = options_.max_payments_in_flight;
  if (stage == Stage::fulfillment && parts_.fulfiller != nullptr) {
    limit = options_.max_fulfillments_in_flight;
  }
  limit = careful_.limit(pause.limit(limit));
  const std::size_t flying = in_flight(stage);
  return flying >= limit ? 0 : std::min(limit - flying, options_.max_batch);
}

void StepLoop::claim_and_send(Now now) {
  now_ = now;
  claimed_ = 0;
  left_some_ = false;
  bounds_.look(now);
  forget_what_others_settled(now);
  const bool quiet = in_flight_.empty() && commits_.empty();
  if (commits_.empty()) {
    running_.clear();
    committing_.clear();
  }
  if (quiet) alone_ = false;
  if (!lonely_stage_) {
    for (const Stage stage : kDrivenStages) {
      if (!commits_.full()) claim_stage(stage, now);
    }
  } else if (quiet && now.wall >= gave_way_until_) {
    claim_stage(*std::exchange(lonely_stage_, std::nullopt), now);
  }
  send(now);
  if (careful_.careful()) {
    // A mark lasts while a step runs, its commit included, and not while a peer is waited for.
    running_ = std::exchange(committing_, {});
    static_cast<void>(careful_.mark(running_));
  }
  careful_.look(
      now, claimed_ == 0 && in_flight_.empty() && commits_.empty() && now.wall > gave_way_until_);
}

void StepLoop::claim_stage(Stage stage, Now now) {
  const std::size_t limit = room(stage, now);
  if (limit == 0) return;
  // A careful run has a few orders in flight at most: there is nothing to share.
  StagePlaces::Room* const room = careful_.careful() ? nullptr : places_.room_of(stage);
  std::optional<ports::ClaimPlaces> places;
  if (room != nullptr) places.emplace(*room);
  auto claimed = parts_.store.claim_within(stage, limit, places ? &*places : nullptr, now);
  if (!claimed) {
    while (places && !places->taken().empty()) places->undo();
    return;
  }
  claimed_ += claimed->size();
  if (claimed->size() == limit || (careful_.careful() && !claimed->empty())) left_some_ = true;
  if (careful_.careful()) *claimed = marked(std::move(*claimed), stage, now);
  for (std::size_t index = 0; index < claimed->size(); ++index) {
    if (places) places_.begin({.room = room, .holder = places->taken()[index]});
    step_claimed(std::move(claimed->at(index)), now);
    places_.end();
  }
}

void StepLoop::step_claimed(Order&& order, Now now) {
  if (careful_.verdict(order) == CarefulRun::Verdict::give_up) {
    const domain::Version read = order.version;
    commit_decided(read, dead_letter_interrupted(order, options_.saga, now.wall), {});
    return;
  }
  domain::Step step = next_step(order, options_.saga, moment(now));
  proceed(std::move(order), std::move(step), {}, now);
}

// Marks what may run now and returns it; the rest gives way for a moment.
std::vector<Order> StepLoop::marked(std::vector<Order> claimed, Stage stage, Now now) {
  std::vector<Order> kept;
  for (Order& order : claimed) {
    const bool loner = careful_.verdict(order) != CarefulRun::Verdict::run;
    const bool others = !kept.empty() || !in_flight_.empty() || !commits_.empty();
    if (alone_ || (loner && others)) {
      gave_way_until_ = now.wall + kGiveWay;
      parts_.store.release(order.id, gave_way_until_);
      if (loner) lonely_stage_ = stage;
      continue;
    }
    alone_ = loner;
    add_running(order.id);
    kept.push_back(std::move(order));
  }
  if (!careful_.mark(running_)) {
    for (const Order& order : kept) parts_.store.release(order.id, now.wall + kHoldBack);
    kept.clear();
  }
  return kept;
}

void StepLoop::add_running(const domain::OrderId& order) {
  if (std::ranges::find(running_, order) == running_.end()) running_.push_back(order);
}

void StepLoop::want(Order&& order, domain::Effect&& effect, Now now) {
  if (effect.kind == EffectKind::charge && bounds_.holds_back(order.tenant)) {
    // Charges are what fills the dead letters and owed refunds; closes and refunds empty them.
    parts_.store.release(order.id, now.wall + kHoldBack);
    return;
  }
  const std::uint64_t ticket = next_ticket_++;
  const Stage stage = stage_of_effect(effect.kind);
  if (stage == Stage::payment) {
    ports::GatewayRequest request{.ticket = ticket,
                                  .kind = effect.kind,
                                  .key = std::move(effect.key),
                                  .charge_key = {},
                                  .reference = order.capture_reference,
                                  .order = order.id,
                                  .amount = order.total,
                                  .method = order.payment_method,
                                  .correlation = order.correlation,
                                  .traceparent = order.traceparent};
    if (effect.kind == EffectKind::refund) {
      request.charge_key = effect_key(order, EffectKind::charge);
    }
    gateway_requests_.push_back(std::move(request));
  } else {
    fulfillment_requests_.push_back(
        {.ticket = ticket, .kind = effect.kind, .key = std::move(effect.key), .order = order});
  }
  in_flight_by_stage_[index_of(stage)] += 1;
  in_flight_.try_emplace(ticket, std::move(order), effect.kind, now.wall, places_.hand_on());
}

void StepLoop::send(Now now) {
  if (!gateway_requests_.empty()) {
    parts_.gateway.submit(gateway_requests_, now);
    gateway_requests_.clear();
  }
  if (!fulfillment_requests_.empty()) {
    if (parts_.fulfiller != nullptr) {
      parts_.fulfiller->submit(fulfillment_requests_);
    } else {
      // The hook was taken away while orders wait for it: nobody can be asked.
      for (const auto& request : fulfillment_requests_) {
        fulfillment_replies_.push_back({request.ticket,
                                        {OutcomeKind::unavailable,
                                         {},
                                         domain::Trouble::unreachable,
                                         "no fulfiller is configured"}});
      }
      for (const auto& answered : std::exchange(fulfillment_replies_, {})) {
        reply(answered.ticket, answered.outcome, now);
      }
    }
    fulfillment_requests_.clear();
  }
}

bool StepLoop::paused(Stage stage, domain::Instant now) const {
  return pauses_[index_of(stage)].paused(now) ||
         (stage == Stage::payment && bounds_.holds_back_all());
}

std::optional<domain::Instant> StepLoop::next_due() const {
  std::optional<domain::Instant> due = parts_.gateway.next_due();
  const auto sooner = [&due](std::optional<domain::Instant> other) {
    if (other && (!due || *other < *due)) due = other;
  };
  for (const StagePause& pause : pauses_) {
    if (pause.until() > now_.wall) sooner(pause.until());
  }
  if (const auto stored = parts_.store.next_due()) {
    // What is due and was not claimed waits for room or for its stage; behind it something else may
    // become due, so it is looked at now and then.
    sooner(*stored > now_.wall ? *stored : now_.wall + kLook);
  }
  return due;
}

}  // namespace penstock::pipeline
