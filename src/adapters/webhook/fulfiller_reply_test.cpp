#include "adapters/webhook/fulfiller_reply.h"

#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace penstock::webhook {
namespace {

using domain::EffectKind;
using domain::OutcomeKind;

constexpr EffectKind kCalls[] = {EffectKind::fulfill, EffectKind::find_fulfillment,
                                 EffectKind::close_fulfillment};
constexpr int kStatuses[] = {200, 201, 202, 204, 302, 307, 400, 404, 405, 408,
                             409, 410, 413, 421, 422, 500, 501, 502, 504, 520};

OutcomeKind read(EffectKind kind, int status, const std::string& body) {
  return read_fulfillment(kind, {.status = status, .headers = {}, .body = body}).kind;
}

/// What the protocol says of an answer whose body is one of the hook's; nothing: unknown.
OutcomeKind expected(EffectKind kind, int status, const std::string& state, bool has_error) {
  if (status >= 200 && status < 300) {
    if (has_error) return OutcomeKind::unknown;
    if (state == "accepted") return OutcomeKind::done;
    if (state == "closed") return OutcomeKind::closed;
    if (state == "refused" && kind != EffectKind::close_fulfillment) return OutcomeKind::refused;
    return state.empty() && kind == EffectKind::fulfill ? OutcomeKind::done : OutcomeKind::unknown;
  }
  if (status == 408 || status == 502 || status == 504) return OutcomeKind::unknown;
  if (kind == EffectKind::find_fulfillment && status == 404) return OutcomeKind::not_found;
  if (kind == EffectKind::fulfill) {
    if (status == 409 || status == 422) return OutcomeKind::refused;
    if (status == 410) return OutcomeKind::closed;
  }
  if (status >= 500) return OutcomeKind::transient;
  return status >= 400 && has_error ? OutcomeKind::permanent : OutcomeKind::unknown;
}

TEST(FulfillerReply, IsReadByItsStatusWhereTheBodyIsTheHooks) {
  struct Body {
    std::string text;
    std::string state;
    bool has_error = false;
  };
  const Body bodies[] = {{"", ""},
                         {"{}", ""},
                         {R"({"shipment":7})", ""},
                         {R"({"state":"accepted"})", "accepted"},
                         {R"({"state":"refused"})", "refused"},
                         {R"({"state":"closed"})", "closed"},
                         {R"({"state":"thinking"})", "thinking"},
                         {R"({"state":17})", "17"},
                         {R"({"error":"no such order"})", "", true},
                         {R"({"error":{"code":"x"},"state":"accepted"})", "accepted", true}};
  std::size_t rows = 0;
  for (const EffectKind kind : kCalls) {
    for (const int status : kStatuses) {
      for (const Body& body : bodies) {
        EXPECT_EQ(read(kind, status, body.text), expected(kind, status, body.state, body.has_error))
            << static_cast<int>(kind) << ' ' << status << ' ' << body.text;
        rows += 1;
      }
    }
  }
  EXPECT_GT(rows, 500U);
}

TEST(FulfillerReply, IsUnknownWhereTheBodyIsSomethingElse) {
  const std::string bodies[] = {"<html>Not Found</html>",
                                "404 page not found",
                                "accepted",
                                "[]",
                                "null",
                                "\"accepted\"",
                                R"({"state":"accepted")",
                                R"({"state":"accepted"}{})",
                                R"({"state":"a","state":"accepted"})"};
  for (const EffectKind kind : kCalls) {
    for (const int status : kStatuses) {
      for (const std::string& body : bodies) {
        EXPECT_EQ(read(kind, status, body), OutcomeKind::unknown)
            << static_cast<int>(kind) << ' ' << status << ' ' << body;
      }
    }
  }
}

TEST(FulfillerReply, TellsThatNothingWasDoneWhateverIsInIt) {
  for (const EffectKind kind : kCalls) {
    for (const char* body : {"", "<html>", R"({"state":"accepted"})"}) {
      for (const int status : {401, 403, 407, 429, 503}) {
        const domain::Outcome outcome =
            read_fulfillment(kind, {.status = status, .headers = {}, .body = body});
        EXPECT_EQ(outcome.kind, OutcomeKind::unavailable) << status << body;
        EXPECT_EQ(outcome.trouble, status == 429 || status == 503
                                       ? domain::Trouble::overloaded
                                       : domain::Trouble::not_authorized);
      }
    }
  }
}

}  // namespace
}  // namespace penstock::webhook
