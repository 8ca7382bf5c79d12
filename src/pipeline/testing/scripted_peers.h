#pragma once

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/testing/scripted_gateway.h"
#include "ports/fulfiller.h"
#include "ports/log.h"
#include "ports/notifier.h"
#include "ports/receipt_store.h"

namespace penstock::pipeline::testing {

/// A fulfiller that follows a script, the same for every order; keyed and closable.
class ScriptedFulfiller final : public ports::Fulfiller {
 public:
  std::map<domain::EffectKind, Script> scripts;
  std::vector<domain::EffectKind> requests;
  std::size_t accepted = 0;
  bool silent = false;  ///< replies are held back

  bool has_replies() const { return !silent && !replies_.empty(); }
  void disconnect() { replies_.clear(); }

  void submit(std::span<ports::FulfillmentRequest> incoming) override {
    for (const ports::FulfillmentRequest& request : incoming) {
      requests.push_back(request.kind);
      const std::size_t turn = turns_[{request.order.id, request.kind}]++;
      replies_.push_back({request.ticket, serve(request, scripts[request.kind].at(turn))});
    }
  }
  void poll(std::vector<ports::FulfillmentReply>& replies) override {
    if (silent) return;
    replies.insert(replies.end(), replies_.begin(), replies_.end());
    replies_.clear();
  }

 private:
  enum class State { none, accepted, closed };

  domain::Outcome serve(const ports::FulfillmentRequest& request, Act how) {
    using domain::OutcomeKind;
    State& state = table_[request.key];
    if (how == Act::refuse) return {OutcomeKind::refused, {}};
    if (how == Act::transient) return {OutcomeKind::transient, {}};
    if (how == Act::permanent) return {OutcomeKind::permanent, {}};
    if (how == Act::unavailable) return {OutcomeKind::unavailable, {}};
    if (how == Act::lose_request) return {OutcomeKind::unknown, {}};
    if (state == State::none && request.kind == domain::EffectKind::fulfill) {
      state = State::accepted;
      accepted += 1;
    }
    if (state == State::none && request.kind == domain::EffectKind::close_fulfillment) {
      state = State::closed;
    }
    if (how == Act::lose_reply) return {OutcomeKind::unknown, {}};
    if (state == State::accepted) return {OutcomeKind::done, {}};
    return {state == State::closed ? OutcomeKind::closed : OutcomeKind::not_found, {}};
  }

  std::map<std::string, State> table_;
  std::map<std::pair<domain::OrderId, domain::EffectKind>, std::size_t> turns_;
  std::vector<ports::FulfillmentReply> replies_;
};

/// A webhook endpoint: answers with `outcomes` in turn, then `delivered`.
class ScriptedNotifier final : public ports::Notifier {
 public:
  std::deque<ports::NotificationOutcome> outcomes;
  std::vector<ports::NotificationRequest> requests;
  bool silent = false;  ///< keeps its answers until it is so no more

  bool has_replies() const { return !silent && !replies_.empty(); }
  void disconnect() { replies_.clear(); }

  void submit(std::span<ports::NotificationRequest> incoming) override {
    for (const ports::NotificationRequest& request : incoming) {
      requests.push_back(request);
      auto outcome = ports::NotificationOutcome::delivered;
      if (!outcomes.empty()) {
        outcome = outcomes.front();
        outcomes.pop_front();
      }
      replies_.push_back({request.ticket, outcome});
    }
  }
  void poll(std::vector<ports::NotificationReply>& replies) override {
    if (silent) return;
    replies.insert(replies.end(), replies_.begin(), replies_.end());
    replies_.clear();
  }

 private:
  std::vector<ports::NotificationReply> replies_;
};

/// Where copies of receipts go; the first `failures` writes fail.
class ScriptedReceipts final : public ports::ReceiptStore {
 public:
  std::size_t failures = 0;
  std::size_t attempts = 0;
  std::map<domain::OrderId, std::string> copies;
  bool silent = false;  ///< keeps its answers until it is so no more

  bool has_replies() const { return !silent && !replies_.empty(); }
  void disconnect() { replies_.clear(); }

  void submit(std::span<ports::ReceiptCopy> incoming) override {
    for (const ports::ReceiptCopy& copy : incoming) {
      attempts += 1;
      const bool fails = failures > 0;
      if (fails) {
        failures -= 1;
      } else {
        copies[copy.order] = copy.receipt;
      }
      replies_.push_back(
          {copy.ticket, fails ? ports::CopyOutcome::failed : ports::CopyOutcome::stored});
    }
  }
  void poll(std::vector<ports::CopyReply>& replies) override {
    if (silent) return;
    replies.insert(replies.end(), replies_.begin(), replies_.end());
    replies_.clear();
  }

 private:
  std::vector<ports::CopyReply> replies_;
};

/// Keeps what was logged: the message with its fields.
class KeptLog final : public ports::Log {
 public:
  struct Line {
    ports::LogLevel level;
    std::string message;
    std::map<std::string, std::string> fields;
  };
  std::vector<Line> lines;
  ports::LogLevel level = ports::LogLevel::info;

  bool enabled(ports::LogLevel asked) const override { return asked >= level; }
  void write(ports::LogLevel at, std::string_view message,
             std::initializer_list<ports::LogField> fields) override {
    Line line{at, std::string(message), {}};
    for (const auto& field : fields) line.fields.emplace(field.name, field.value.str());
    lines.push_back(std::move(line));
  }
  std::size_t count(std::string_view message) const {
    std::size_t result = 0;
    for (const Line& line : lines) result += line.message == message ? 1 : 0;
    return result;
  }
};

}  // namespace penstock::pipeline::testing
