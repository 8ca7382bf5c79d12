#include <regex>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "cli/check.h"
#include "cli/error_pages.h"
#include "cli/explain.h"
#include "cli/presentation.h"
#include "cli/query_text.h"
#include "domain/error_code.h"
#include "net/json.h"

namespace penstock::cli {
namespace {

struct Printed {
  ExitCode code;
  std::string out;
  std::string complaints;
};

Printed present_text(ServerAnswer answer, const TableShape& shape,
                     OutputForm form = OutputForm::text) {
  std::ostringstream out;
  std::ostringstream complaints;
  ExitCode const code =
      present(std::move(answer), shape, {.form = form, .out = out, .complaints = complaints});
  return {code, out.str(), complaints.str()};
}

TEST(Present, a_list_becomes_a_table_with_a_line_a_row_and_dashes_for_what_is_missing) {
  Printed const printed = present_text(
      {.status = 200,
       .body = R"({"rows":[{"id":"a","total":{"amount":"2.00"}},{"id":"long-id","total":null}],)"
               R"("next_cursor":"abc"})"},
      {.list = "rows", .columns = {"id", "total.amount", "other"}});
  EXPECT_EQ(printed.code, ExitCode::done);
  EXPECT_EQ(printed.out,
            "id       total.amount  other\n"
            "a        2.00          -\n"
            "long-id  -             -\n"
            "more: --cursor abc\n");
}

TEST(Present, an_object_becomes_a_line_a_member) {
  Printed const printed =
      present_text({.status = 200, .body = R"({"a":1,"b":{"c":true},"d":["x"]})"}, {.list = ""});
  EXPECT_NE(printed.out.find("b.c "), std::string::npos);
  EXPECT_NE(printed.out.find("d.0 "), std::string::npos);
}

TEST(Present, json_goes_through_as_it_came) {
  EXPECT_EQ(
      present_text({.status = 200, .body = R"({"a": 1})"}, {.list = ""}, OutputForm::json).out,
      "{\"a\": 1}\n");
}

TEST(Present, a_problem_is_a_failure_with_its_code_and_fields) {
  Printed const printed =
      present_text({.status = 422,
                    .body = R"({"title":"T","code":"invalid-order","detail":"D",)"
                            R"("errors":[{"pointer":"/items","code":"empty"}]})"},
                   {.list = ""});
  EXPECT_EQ(printed.code, ExitCode::failed);
  EXPECT_EQ(printed.out, "");
  EXPECT_EQ(printed.complaints, "T (invalid-order): D\n  /items empty\n");
  EXPECT_EQ(present_text({.status = 502, .body = "<html>"}, {.list = ""}).code, ExitCode::failed);
}

TEST(Present, no_answer_is_a_failure) {
  std::ostringstream out;
  std::ostringstream complaints;
  EXPECT_EQ(present(std::unexpected(std::string("no answer")), {.list = ""},
                    {.out = out, .complaints = complaints}),
            ExitCode::failed);
  EXPECT_EQ(complaints.str(), "no answer\n");
}

TEST(Query, leaves_out_what_has_no_value_and_escapes_the_rest) {
  EXPECT_EQ(query_of({{"a", ""}, {"b", "x y&z"}, {"c", "1"}}), "?b=x%20y%26z&c=1");
  EXPECT_EQ(query_of({{"a", ""}}), "");
  EXPECT_EQ(segment("../x"), "..%2Fx");
}

TEST(Explain, prints_the_page_of_every_error_code){
#define X(name, text, status, title)                                               \
  {                                                                                \
    std::ostringstream out;                                                        \
    std::ostringstream complaints;                                                 \
    EXPECT_EQ(explain(text, out, complaints), ExitCode::done) << complaints.str(); \
    EXPECT_NE(out.str().find(text), std::string::npos);                            \
  }
    PENSTOCK_ERROR_CODES(X)
#undef X
}

TEST(Explain, lists_all_codes_without_an_argument) {
  std::ostringstream out;
  std::ostringstream complaints;
  EXPECT_EQ(explain("", out, complaints), ExitCode::done);
  for (const ErrorPage& page : error_pages()) {
    EXPECT_NE(out.str().find(std::string(page.code) + " "), std::string::npos) << page.code;
  }
}

TEST(Explain, an_unknown_code_fails_and_names_codes_that_are_near) {
  std::ostringstream out;
  std::ostringstream complaints;
  EXPECT_EQ(explain("quota-gone", out, complaints), ExitCode::failed);
  EXPECT_EQ(out.str(), "");
  EXPECT_NE(complaints.str().find("quota-exceeded"), std::string::npos);
}

TEST(Present, what_is_no_answer_of_penstock_is_refused_and_not_shown) {
  for (const char* body :
       {"<html>CANARY</html>", "", "[]", R"({"message":"CANARY"})", R"({"orders":"CANARY"})"}) {
    for (OutputForm const form : {OutputForm::text, OutputForm::json}) {
      std::ostringstream out;
      std::ostringstream complaints;
      ServerAnswer answer;
      answer.status = 200;
      answer.body = body;
      EXPECT_EQ(present(answer, {.list = "orders", .columns = {"order_id"}},
                        {.form = form, .out = out, .complaints = complaints}),
                ExitCode::failed)
          << body;
      EXPECT_EQ(out.str(), "");
      EXPECT_NE(complaints.str().find("Penstock server"), std::string::npos);
      EXPECT_EQ(complaints.str().find("CANARY"), std::string::npos);
    }
  }
}

TEST(PrintAudit, the_exit_code_is_the_verdict_in_both_forms) {
  checker::Report report;
  report.orders = 3;
  std::ostringstream clean;
  EXPECT_EQ(print_audit(report, OutputForm::text, clean), ExitCode::done);
  EXPECT_NE(clean.str().find("\nclean\n"), std::string::npos);
  report.add(checker::Invariant::one_capture, "order-7", "captured twice");
  std::ostringstream text;
  EXPECT_EQ(print_audit(report, OutputForm::text, text), ExitCode::failed);
  EXPECT_NE(text.str().find("one-capture: order-7: captured twice"), std::string::npos);
  std::ostringstream json;
  EXPECT_EQ(print_audit(report, OutputForm::json, json), ExitCode::failed);
  auto const document = net::JsonDocument::parse(json.str());
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().find("clean")->as_bool(), false);
  EXPECT_EQ(document->root().find("invariants")->find("one-capture")->as_int64(), 1);
}

TEST(Audit, WhatNothingWasKnownOfIsNotOk) {
  struct Row {
    const char* needs;
    checker::Evidence given;
    std::vector<checker::Invariant> judged_by_it;
  };
  const std::vector<Row> rows{
      {"--ledger", checker::Evidence::ledger, {checker::Invariant::one_capture}},
      {"--history",
       checker::Evidence::history,
       {checker::Invariant::reads_linearizable, checker::Invariant::admitted_within_contract}},
      {"a quiescent --history",
       checker::Evidence::rest,
       {checker::Invariant::everything_ends, checker::Invariant::ended_is_delivered}},
      {"--webhooks", checker::Evidence::webhooks, {checker::Invariant::delivery_identity}},
      {"the simulator", checker::Evidence::commits, {checker::Invariant::silent_after_failed_sync}},
  };
  for (const Row& row : rows) {
    for (const checker::Invariant invariant : row.judged_by_it) {
      const std::string name(checker::to_string(invariant));
      checker::Report report;
      std::ostringstream without;
      EXPECT_EQ(print_audit(report, OutputForm::text, without), ExitCode::done);
      EXPECT_TRUE(std::regex_search(
          without.str(),
          std::regex("  not judged \\(needs " + std::string(row.needs) + "\\) +" + name + " ")));
      EXPECT_TRUE(std::regex_search(without.str(), std::regex("  ok +legal-transitions ")));
      std::ostringstream json;
      print_audit(report, OutputForm::json, json);
      const auto document = net::JsonDocument::parse(json.str());
      EXPECT_EQ(document->root().find("not_judged")->find(name)->as_string(), row.needs);
      EXPECT_FALSE(document->root().find("not_judged")->find("legal-transitions"));

      report.use(row.given);
      std::ostringstream with;
      EXPECT_EQ(print_audit(report, OutputForm::text, with), ExitCode::done);
      EXPECT_TRUE(std::regex_search(with.str(), std::regex("  ok +" + name + " ")));

      report = {};
      report.add(invariant, "subject", "seen all the same");
      std::ostringstream broken;
      EXPECT_EQ(print_audit(report, OutputForm::text, broken), ExitCode::failed);
      EXPECT_TRUE(std::regex_search(broken.str(), std::regex("  FAILED +" + name + " ")));
    }
  }
}

}  // namespace
}  // namespace penstock::cli
