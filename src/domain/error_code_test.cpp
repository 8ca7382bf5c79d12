#include "domain/error_code.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace penstock::domain {
namespace {

const std::vector<ErrorCode> kCodes{
#define X(name, text, status, title) ErrorCode::name,
    PENSTOCK_ERROR_CODES(X)
#undef X
};

TEST(ErrorCode, TextsAreReadBackAndEachNamesOneCode) {
  std::set<std::string_view> texts;
  for (const ErrorCode code : kCodes) {
    EXPECT_EQ(parse_error_code(to_string(code)), code);
    EXPECT_TRUE(texts.insert(to_string(code)).second) << to_string(code);
    EXPECT_FALSE(title_of(code).empty());
  }
  EXPECT_FALSE(parse_error_code(""));
  EXPECT_FALSE(parse_error_code("quota_exceeded"));
}

TEST(ErrorCode, TextsAreFileNamesOfTheirPages) {
  for (const ErrorCode code : kCodes) {
    EXPECT_EQ(to_string(code).find_first_not_of("abcdefghijklmnopqrstuvwxyz-"),
              std::string_view::npos)
        << to_string(code);
  }
}

TEST(ErrorCode, BadInputIsNeverAServerError) {
  const std::set<int> statuses{0,   400, 401, 403, 404, 405, 408, 409,
                               412, 413, 415, 422, 429, 431, 503, 505};
  for (const ErrorCode code : kCodes) {
    EXPECT_TRUE(statuses.contains(status_of(code))) << to_string(code);
  }
  EXPECT_EQ(status_of(ErrorCode::quota_exceeded), 429);
  EXPECT_EQ(status_of(ErrorCode::reduced_capacity), 503);
  EXPECT_EQ(to_string(ErrorCode::reduced_capacity), "temporarily-reduced-capacity");
  EXPECT_EQ(status_of(ErrorCode::cost_exceeds_capacity), 422);
  EXPECT_EQ(status_of(ErrorCode::idempotency_key_reused), 422);
  EXPECT_EQ(status_of(ErrorCode::http_version), 505);
}

}  // namespace
}  // namespace penstock::domain
