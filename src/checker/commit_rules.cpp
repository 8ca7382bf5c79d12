#include "checker/commit_rules.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "checker/digest.h"
#include "checker/order_rules.h"

namespace penstock::checker {
namespace {

using domain::Order;

struct ContentView {
  const domain::CustomerId& customer;
  const std::vector<domain::Item>& items;
  const domain::Money& total;
  const std::string& payment_method;
  const std::vector<std::pair<std::string, std::string>>& metadata;
};

std::uint64_t digest_of(const domain::TenantId& tenant, const ContentView& content) {
  Digest digest;
  digest.add(tenant.str()).add(content.customer.str()).add(content.items.size());
  for (const domain::Item& item : content.items) {
    digest.add(item.product.str())
        .add(static_cast<std::uint64_t>(item.quantity))
        .add(static_cast<std::uint64_t>(item.price_minor));
  }
  digest.add(static_cast<std::uint64_t>(content.total.minor_units))
      .add(content.total.currency.code())
      .add(content.payment_method);
  // Metadata is a set: its order on the wire means nothing.
  std::uint64_t pairs = 0;
  for (auto const& [name, value] : content.metadata) pairs += Digest{}.add(name).add(value).value();
  return digest.add(pairs).value();
}

std::uint64_t immutable_digest(const Order& order, std::uint64_t content) {
  return Digest{}
      .add(content)
      .add(order.correlation.str())
      .add(order.traceparent)
      .add(static_cast<std::uint64_t>(order.created_at.us))
      .value();
}

void add_event(const domain::Event& event, Digest& digest) {
  auto const from = event.from ? static_cast<std::uint64_t>(*event.from) : 0;
  std::uint64_t const kinds = from | static_cast<std::uint64_t>(event.to) << 8 |
                              static_cast<std::uint64_t>(event.stage) << 16 |
                              static_cast<std::uint64_t>(event.reason) << 24 |
                              static_cast<std::uint64_t>(event.version.number) << 32;
  digest.add(kinds)
      .add(static_cast<std::uint64_t>(event.at.us))
      .add(static_cast<std::uint64_t>(event.attempt));
}

/// The digest of the first `count` events and that of all.
struct Timelines {
  std::uint64_t past = 0;
  std::uint64_t whole = 0;
};

Timelines timelines_of(const Order& order, std::size_t count) {
  Timelines found;
  Digest digest;
  for (std::size_t index = 0; index < order.timeline.size(); ++index) {
    if (index == count) found.past = digest.value();
    add_event(order.timeline[index], digest);
  }
  found.whole = digest.value();
  if (count >= order.timeline.size()) found.past = count == order.timeline.size() ? found.whole : 0;
  return found;
}

bool is_waiting_dead_letter(const Order& order) {
  return order.dead_letter && order.dead_letter->state == domain::DeadLetterState::open;
}

void note_status(std::uint32_t version, domain::Status status, OrderState& state) {
  if (state.statuses.size() < version) state.statuses.resize(version, '\0');
  state.statuses[version - 1] = static_cast<char>(status);
}

}  // namespace

std::uint64_t content_digest(const domain::TenantId& tenant, const OrderContent& content) {
  return digest_of(tenant, {content.customer, content.items, content.total, content.payment_method,
                            content.metadata});
}

std::uint64_t content_digest(const Order& order) {
  return digest_of(order.tenant, {order.customer, order.items, order.total, order.payment_method,
                                  order.metadata});
}

void follow_commit(const CommittedView& commit, Step step, int max_attempts, OrderState& state,
                   Report& report) {
  const Order& order = commit.order;
  check_order(order, commit.receipt_bytes > 0 ? ReceiptPresence::present : ReceiptPresence::absent,
              report, max_attempts);
  std::uint64_t const content = content_digest(order);
  std::uint64_t const immutable = immutable_digest(order, content);
  Timelines const timelines = timelines_of(order, state.stored);
  if (state.stored == 0) {
    state.first_stored = step;
    state.content = content;
    state.immutable = immutable;
    state.total = order.total.minor_units;
    state.currency = order.total.currency;
  } else {
    if (order.version.number <= state.stored) {
      report.add(Invariant::versions_without_gaps, order.id.str(),
                 fmt::format("version {} is committed over version {}", order.version.number,
                             state.stored));
    } else if (timelines.past != state.timeline) {
      report.add(Invariant::versions_without_gaps, order.id.str(),
                 fmt::format("version {} does not continue version {}", order.version.number,
                             state.stored));
    }
    if (immutable != state.immutable) {
      report.add(Invariant::stored_was_submitted, order.id.str(),
                 fmt::format("version {} changed what was ordered", order.version.number));
    }
    if (has_ended(state.status)) {
      report.add(Invariant::one_terminal_state, order.id.str(),
                 fmt::format("{} is followed by a commit to {}", domain::to_string(state.status),
                             domain::to_string(order.status)));
    }
  }
  state.immutable = immutable;
  state.timeline = timelines.whole;
  state.stored = order.version.number;
  state.status = order.status;
  state.charge = order.charge;
  state.dead_letter_open = is_waiting_dead_letter(order);
  if (has_ended(order.status)) state.ended = step;
  note_status(order.version.number, order.status, state);
}

void check_final_record(const Order& order, CommitsKnown commits, OrderState& state,
                        Report& report) {
  if (commits == CommitsKnown::yes) {
    bool const same = state.stored == order.version.number && state.status == order.status &&
                      state.charge == order.charge &&
                      state.immutable == immutable_digest(order, content_digest(order)) &&
                      state.timeline == timelines_of(order, 0).whole;
    if (!same) {
      report.add(Invariant::nothing_stored_is_lost, order.id.str(),
                 fmt::format("version {} {} is found, version {} {} was committed last",
                             order.version.number, domain::to_string(order.status), state.stored,
                             state.stored == 0 ? "nothing" : domain::to_string(state.status)));
    }
    return;
  }
  if (state.seen > order.version.number) {
    report.add(Invariant::reads_linearizable, order.id.str(),
               fmt::format("version {} was shown, {} is stored", state.seen, order.version.number));
  }
  for (std::size_t index = 0; index < state.statuses.size() && index < order.timeline.size();
       ++index) {
    auto const shown = static_cast<domain::Status>(state.statuses[index]);
    if (state.statuses[index] != '\0' && shown != order.timeline[index].to) {
      report.add(
          Invariant::reads_linearizable, order.id.str(),
          fmt::format("version {} was shown as {}, and is {}", index + 1, domain::to_string(shown),
                      domain::to_string(order.timeline[index].to)));
    }
  }
  if (state.content != 0 && state.content != content_digest(order)) {
    report.add(Invariant::stored_was_submitted, order.id.str(),
               "it was acknowledged to an order of another content");
  }
  state.content = content_digest(order);
  state.total = order.total.minor_units;
  state.currency = order.total.currency;
  state.status = order.status;
  state.charge = order.charge;
  state.stored = order.version.number;
}

}  // namespace penstock::checker
