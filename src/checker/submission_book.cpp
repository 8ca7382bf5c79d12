#include "checker/submission_book.h"

#include <algorithm>

#include <fmt/format.h>

#include "checker/commit_rules.h"
#include "checker/digest.h"
#include "domain/check.h"

namespace penstock::checker {
namespace {

std::uint64_t digest_of(const domain::Fingerprint& fingerprint) {
  return Digest{}
      .add(std::string_view(reinterpret_cast<const char*>(fingerprint.data()), fingerprint.size()))
      .value();
}

std::string name_of(const SubmissionBook::Place& place) {
  return fmt::format("operation {}", place.number);
}

}  // namespace

SubmissionBook::Key& SubmissionBook::key_of(TenantNumber tenant, std::string_view text) {
  auto const [at, added] = keys_.try_emplace(Digest{}.add(tenant).add(text).value());
  if (added) at->second.text = Digest{}.add(text).value();
  return at->second;
}

SubmissionBook::Slot* SubmissionBook::slot_of(Key& key, std::uint64_t fingerprint) {
  if (key.first.fingerprint == fingerprint) return &key.first;
  auto const at = std::ranges::find(key.others, fingerprint, &Slot::fingerprint);
  return at == key.others.end() ? nullptr : &*at;
}

bool SubmissionBook::certainly_lives(const Key& key, domain::Instant at) const {
  return key.acknowledged != 0 && at - key.answered < options_.key_retention;
}

bool SubmissionBook::other_tenant_uses(const Key& key) const {
  return std::ranges::any_of(keys_, [&](auto const& entry) {
    return entry.second.text == key.text && &entry.second != &key;
  });
}

SubmissionBook::Place SubmissionBook::began(const Submission& submission, TenantNumber tenant) {
  Place place{.tenant = tenant, .content = submission.content};
  if (submission.key == nullptr) {
    ++claims_[place.content].submitted;
    return place;
  }
  place.fingerprint = digest_of(submission.fingerprint);
  place.key = &key_of(tenant, submission.key->str());
  Slot* slot = slot_of(*place.key, place.fingerprint);
  if (slot == nullptr && place.key->first.fingerprint == 0) slot = &place.key->first;
  if (slot == nullptr) slot = &place.key->others.emplace_back();
  slot->fingerprint = place.fingerprint;
  slot->content = place.content;
  ++slot->live;
  return place;
}

void SubmissionBook::refused(const Place& place, Refusal refusal, domain::Instant at) {
  if (place.key == nullptr) {
    Claims& claims = claims_[place.content];
    --claims.submitted;
    if (claims.stored > claims.submitted) {
      report_.add(Invariant::stored_was_submitted, name_of(place),
                  "it was refused, and an order of its content is stored");
      --claims.stored;
    }
    if (claims.submitted == 0 && claims.stored == 0) claims_.erase(place.content);
    return;
  }
  Key& key = *place.key;
  if (refusal == Refusal::key_reused) refused_as_reused(place, at);
  if (refusal == Refusal::quota_exceeded && key.winner == place.fingerprint &&
      key.acknowledged < place.invoked && certainly_lives(key, at)) {
    report_.add(Invariant::replay_is_identical, name_of(place),
                "a replay was refused by the rate limit");
  }
  Slot* const slot = slot_of(key, place.fingerprint);
  --slot->live;
  if (slot->live == 0 && key.winner == place.fingerprint && key.acknowledged == 0) {
    report_.add(Invariant::stored_was_submitted, name_of(place),
                fmt::format("it was refused, and {} is stored under its key", key.order.str()));
  }
}

void SubmissionBook::refused_as_reused(const Place& place, domain::Instant at) {
  Key& key = *place.key;
  bool const owned = key.winner == place.fingerprint && key.acknowledged < place.invoked &&
                     certainly_lives(key, at);
  if (owned) {
    report_.add(Invariant::replay_is_identical, name_of(place),
                "a replay was refused as another payload");
  } else if (key.others.empty()) {
    bool const foreign = other_tenant_uses(key);
    report_.add(foreign ? Invariant::keys_per_tenant : Invariant::replay_is_identical,
                name_of(place), "refused as another payload, and its tenant never sent another");
  }
}

void SubmissionBook::acknowledged(const Place& place, const Complete& answer, Step now,
                                  domain::Instant at) {
  if (!answer.order) {
    report_.add(Invariant::acknowledged_is_stored, name_of(place), "the answer names no order");
    return;
  }
  OrderState& order = orders_[*answer.order];
  if (options_.store_followed && order.stored == 0) {
    report_.add(Invariant::acknowledged_is_stored, answer.order->str(),
                "it was acknowledged before it was stored");
  }
  if (order.tenant != kNoTenant && order.tenant != place.tenant) {
    report_.add(place.key != nullptr ? Invariant::keys_per_tenant : Invariant::tenants_apart,
                answer.order->str(),
                fmt::format("{} was given another tenant's order", name_of(place)));
    return;
  }
  order.tenant = place.tenant;
  if (answer.freshness == Freshness::fresh) {
    if (order.acknowledged_fresh) {
      report_.add(Invariant::replay_is_identical, answer.order->str(),
                  "it was acknowledged as new twice");
    }
    order.acknowledged_fresh = true;
  }
  if (place.key != nullptr) {
    acknowledged_keyed(place, answer, order, now, at);
  } else {
    acknowledged_unkeyed(place, answer, order);
  }
  order.acknowledged = true;
  order.seen = std::max(order.seen, 1U);
  if (order.content == 0) order.content = place.content;
}

void SubmissionBook::acknowledged_unkeyed(const Place& place, const Complete& answer,
                                          OrderState& order) {
  auto const add = [&](Invariant invariant, std::string detail) {
    report_.add(invariant, answer.order->str(), std::move(detail));
  };
  Claims& claims = claims_[place.content];
  --claims.submitted;
  bool const told_before = order.acknowledged || order.keyed;
  if (told_before) {
    add(Invariant::replay_is_identical,
        fmt::format("{} has no key, and was given an order that is another's", name_of(place)));
  } else if (answer.freshness == Freshness::replayed) {
    add(Invariant::replay_is_identical,
        fmt::format("{} has no key, and was told of a replay", name_of(place)));
  } else if (order.stored != 0 && order.first_stored < place.invoked) {
    add(Invariant::stored_was_submitted,
        fmt::format("{} was given an order that was stored before it", name_of(place)));
  }
  if (order.content != 0 && order.content != place.content) {
    add(Invariant::stored_was_submitted,
        fmt::format("{} was given an order of another content", name_of(place)));
  } else if (order.stored != 0 && !told_before && claims.stored > 0) {
    --claims.stored;
  }
  if (claims.submitted == 0 && claims.stored == 0) claims_.erase(place.content);
}

void SubmissionBook::acknowledged_keyed(const Place& place, const Complete& answer,
                                        OrderState& order, Step now, domain::Instant at) {
  Key& key = *place.key;
  auto const add = [&](Invariant invariant, std::string detail) {
    report_.add(invariant, answer.order->str(), std::move(detail));
  };
  order.keyed = true;
  if (order.content != 0 && order.content != place.content) {
    bool const others = key.winner != 0 && key.winner != place.fingerprint;
    add(others ? Invariant::other_payload_changes_nothing : Invariant::stored_was_submitted,
        fmt::format("{} was given an order of another content", name_of(place)));
  }
  // An answer that was made before the key began another life belongs to one that is over.
  auto const former = std::ranges::find_if(key.former, [&](const Life& life) {
    return life.ended > place.invoked && life.order == *answer.order;
  });
  if (former != key.former.end()) {
    if (former->answer != 0 && answer.body_digest != 0 && former->answer != answer.body_digest) {
      add(Invariant::replay_is_identical, "a replay has other bytes");
    }
    return;
  }
  bool const another_life = !options_.store_followed && key.winner != 0 &&
                            !(key.order == *answer.order) && !certainly_lives(key, at);
  if (key.winner == 0 || another_life) {
    if (options_.store_followed) {
      add(Invariant::acknowledged_is_stored, "its key is not stored");
    }
    if (another_life) key.former.push_back({key.order, key.answer, now});
    key.winner = place.fingerprint;
    key.order = *answer.order;
    key.answer = 0;
    key.acknowledged = 0;
  }
  if (key.winner != place.fingerprint) {
    add(Invariant::other_payload_changes_nothing,
        fmt::format("{} succeeded under a key of another payload", name_of(place)));
  } else if (!(key.order == *answer.order)) {
    add(Invariant::replay_is_identical,
        fmt::format("the key of {} names {}", name_of(place), key.order.str()));
  } else if (key.answer != 0 && answer.body_digest != 0 && key.answer != answer.body_digest) {
    add(Invariant::replay_is_identical, "a replay has other bytes");
  }
  if (key.answer == 0) key.answer = answer.body_digest;
  if (key.acknowledged == 0) {
    key.acknowledged = now;
    key.answered = at;
  }
}

void SubmissionBook::first_committed(const domain::OrderId& order) {
  new_orders_.push_back(order);
}

void SubmissionBook::key_stored(const KeyStored& stored, TenantNumber tenant, Step now) {
  Key& key = key_of(tenant, stored.key.str());
  std::uint64_t const fingerprint = digest_of(stored.record.fingerprint);
  if (key.winner != 0 && !(key.order == stored.record.order) &&
      std::max(stored.decided_at, wall_) < key.expires_at) {
    report_.add(Invariant::replay_is_identical, stored.record.order.str(),
                fmt::format("stored under a key that is {}'s until later", key.order.str()));
  }
  if (key.winner != 0) key.former.push_back({key.order, key.answer, now});
  key.winner = fingerprint;
  key.order = stored.record.order;
  key.expires_at = stored.record.expires_at;
  key.answer = 0;
  key.acknowledged = 0;
  new_keys_.push_back({&key, fingerprint, stored.record.order});
}

void SubmissionBook::key_answered(const KeyAnswered& answered, TenantNumber tenant) {
  const Key& key = key_of(tenant, answered.key.str());
  auto const name = [&] { return fmt::format("{}/{}", answered.tenant.str(), answered.key.str()); };
  if (key.winner == 0) {
    report_.add(Invariant::replay_is_identical, name(), "answered from a key that nobody stored");
  } else if (answered.decided_at >= key.expires_at) {
    report_.add(Invariant::replay_is_identical, name(),
                fmt::format("answered from a key {} us after it expired",
                            (answered.decided_at - key.expires_at).us));
  }
}

void SubmissionBook::group_ended() {
  for (const Late& late : new_keys_) explain_keyed(late);
  new_keys_.clear();
  for (const domain::OrderId& id : new_orders_) {
    OrderState& order = orders_[id];
    if (!order.keyed) explain(id, order);
  }
  new_orders_.clear();
}

void SubmissionBook::explain_keyed(const Late& late) {
  OrderState& order = orders_[late.order];
  order.keyed = true;
  Slot const* slot = slot_of(*late.key, late.fingerprint);
  if (order.stored == 0) {
    report_.add(Invariant::key_names_order, late.order.str(), "a key was stored without its order");
  } else if (slot == nullptr || slot->live == 0) {
    report_.add(Invariant::stored_was_submitted, late.order.str(),
                "it is stored under a key, and nobody sent it who was not refused");
  } else if (slot->content != order.content) {
    report_.add(Invariant::stored_was_submitted, late.order.str(),
                "it is stored under a key that was sent with another content");
  }
}

void SubmissionBook::explain(const domain::OrderId& id, OrderState& order) {
  Claims& claims = claims_[order.content];
  if (claims.stored < claims.submitted) {
    ++claims.stored;
    return;
  }
  report_.add(Invariant::stored_was_submitted, id.str(),
              "nobody submitted it who was not refused or given another order");
}

void SubmissionBook::final_key(TenantNumber tenant, const domain::IdempotencyKey& key,
                               const domain::IdempotencyRecord& record) {
  final_keys_.push_back({&key_of(tenant, key.str()), 0, record.order});
}

void SubmissionBook::check_final_keys() {
  for (const Late& late : final_keys_) {
    Key& key = *late.key;
    OrderState& order = orders_[late.order];
    order.keyed = true;
    auto const sent = [&](const Slot& slot) {
      return slot.live > 0 && (order.content == 0 || slot.content == order.content);
    };
    if (!sent(key.first) && std::ranges::none_of(key.others, sent)) {
      report_.add(Invariant::stored_was_submitted, late.order.str(),
                  "a key names it that nobody sent with its content who was not refused");
    }
    if (key.winner == 0) {
      key.winner = key.first.fingerprint;
      key.order = late.order;
    } else if (!(key.order == late.order)) {
      report_.add(options_.store_followed ? Invariant::nothing_stored_is_lost
                                          : Invariant::replay_is_identical,
                  late.order.str(), fmt::format("a key names it that was {}'s", key.order.str()));
    }
  }
}

void SubmissionBook::check_all() {
  // An order whose key is gone, with nobody told of it, may be of any key that has no order yet.
  for (auto const& [digest, key] : keys_) {
    if (key.winner != 0) continue;
    if (key.first.live > 0) ++claims_[key.first.content].submitted;
    for (const Slot& slot : key.others) {
      if (slot.live > 0) ++claims_[slot.content].submitted;
    }
  }
  for (auto& [id, order] : orders_) {
    if (order.stored != 0 && !order.acknowledged && !order.keyed) explain(id, order);
  }
}

}  // namespace penstock::checker
