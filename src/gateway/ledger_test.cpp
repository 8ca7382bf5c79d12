#include "gateway/ledger.h"

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "gateway/sandbox_fixture_test.h"
#include "net/json.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kOrder = "019ab3f2-1111-7000-8000-000000000001";
constexpr std::string_view kAt = "2026-11-22T16:00:00.000000Z";

std::string capture_line(std::string_view key) {
  std::string line;
  append_line({.type = LineType::capture,
               .order_id = kOrder,
               .key = key,
               .minor_units = 2000,
               .currency = "USD",
               .at = kAt,
               .method = "pm_ok"},
              line);
  return line;
}

void append_to_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::app | std::ios::binary) << bytes;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A ledger of a test, opened again and again.
class LedgerTest : public ::testing::Test {
 protected:
  std::expected<Ledger, LedgerError> open() {
    keys_.clear();
    return Ledger::open(path_, [this](const LedgerLine& line) {
      keys_.emplace_back(line.key);
      return line.key != "contradiction";
    });
  }

  testing::TemporaryDirectory directory_;
  std::string path_ = directory_.file("ledger");
  std::vector<std::string> keys_;
};

TEST(LedgerLine, IsJsonWithTheMembersOfTheApi) {
  std::string text;
  append_line({.type = LineType::refund,
               .order_id = kOrder,
               .key = R"(odd "key" \ here)",
               .minor_units = -7,
               .currency = "EUR",
               .at = kAt,
               .payment_intent = KeyHash{1, 2}},
              text);
  const auto document = net::JsonDocument::parse(text);
  ASSERT_TRUE(document);
  const net::JsonView root = document->root();
  EXPECT_EQ(root.find("type")->as_string(), "refund");
  EXPECT_EQ(root.find("order_id")->as_string(), kOrder);
  EXPECT_EQ(root.find("idempotency_key")->as_string(), R"(odd "key" \ here)");
  EXPECT_EQ(root.find("minor_units")->as_int64(), -7);
  EXPECT_EQ(root.find("currency")->as_string(), "EUR");
  EXPECT_EQ(root.find("at")->as_string(), kAt);

  std::string scratch;
  text.pop_back();
  const auto line = parse_line(text, scratch);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->key, R"(odd "key" \ here)");
  EXPECT_EQ(line->payment_intent, (KeyHash{1, 2}));
}

TEST(LedgerLine, IsReadOnlyWhereItIsWhole) {
  std::string line = capture_line(R"(a"b)");
  line.pop_back();
  std::string scratch;
  ASSERT_TRUE(parse_line(line, scratch));
  for (std::size_t size = 0; size < line.size(); ++size) {
    EXPECT_FALSE(parse_line(line.substr(0, size), scratch)) << size;
  }
  EXPECT_FALSE(parse_line(line + "}", scratch));
}

TEST(LedgerLine, AnyFlippedByteIsNoticed) {
  std::string line = capture_line(R"(a"b)");
  line.pop_back();
  std::string scratch;
  for (std::size_t at = 0; at < line.size(); ++at) {
    for (int flip = 1; flip < 256; ++flip) {
      std::string damaged = line;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      ASSERT_FALSE(parse_line(damaged, scratch)) << damaged;
    }
  }
}

TEST_F(LedgerTest, GivesBackWhatWasAppendedLedgerFirst) {
  {
    auto ledger = open();
    ASSERT_TRUE(ledger);
    ASSERT_TRUE(ledger->append("", capture_line("closed")));
    ASSERT_TRUE(ledger->append(capture_line("one") + capture_line("two"), ""));
    ASSERT_TRUE(ledger->append(capture_line("three"), capture_line("declined")));
  }
  ASSERT_TRUE(open());
  EXPECT_THAT(keys_, ElementsAre("one", "two", "three", "closed", "declined"));
}

TEST_F(LedgerTest, CutsATornLastLineAndGoesOnBehindTheWholeOnes) {
  const std::string torn = capture_line("torn");
  append_to_file(path_, capture_line("one") + torn.substr(0, torn.size() / 2));
  {
    auto ledger = open();
    ASSERT_TRUE(ledger);
    EXPECT_THAT(keys_, ElementsAre("one"));
    ASSERT_TRUE(ledger->append(capture_line("two"), ""));
  }
  EXPECT_EQ(contents(path_), capture_line("one") + capture_line("two"));
}

TEST_F(LedgerTest, CutsAtABlockThatWasNeverWritten) {
  const std::string hole(8192, '\0');
  append_to_file(path_, capture_line("one") + hole + "\n" + capture_line("behind the hole"));
  ASSERT_TRUE(open());
  EXPECT_THAT(keys_, ElementsAre("one"));
  EXPECT_EQ(contents(path_), capture_line("one"));
}

TEST_F(LedgerTest, CutsAHoleThatReachesTheEnd) {
  append_to_file(path_, capture_line("one") + std::string(3'000'000, '\0'));
  ASSERT_TRUE(open());
  EXPECT_EQ(contents(path_), capture_line("one"));
}

TEST_F(LedgerTest, RefusesADamagedLineThatIsNotTornAndChangesNothing) {
  const std::string text = capture_line("one") + "garbage\n" + capture_line("two");
  append_to_file(path_, text);
  const auto ledger = open();
  ASSERT_FALSE(ledger);
  EXPECT_EQ(ledger.error(), LedgerError::corrupt);
  EXPECT_EQ(contents(path_), text);
}

TEST_F(LedgerTest, RefusesALineThatContradictsAnEarlierOne) {
  append_to_file(path_ + ".keys", capture_line("contradiction"));
  const auto ledger = open();
  ASSERT_FALSE(ledger);
  EXPECT_EQ(ledger.error(), LedgerError::corrupt);
}

TEST_F(LedgerTest, ReadsLinesThatCrossTheChunksOfTheScan) {
  std::string text;
  std::size_t lines = 0;
  for (; text.size() < 5'000'000; ++lines) text += capture_line("key " + std::to_string(lines));
  append_to_file(path_, text);
  ASSERT_TRUE(open());
  ASSERT_EQ(keys_.size(), lines);
  EXPECT_EQ(keys_.back(), "key " + std::to_string(lines - 1));
  EXPECT_EQ(contents(path_).size(), text.size());
}

TEST_F(LedgerTest, IsHeldByOneAtATime) {
  const auto first = open();
  ASSERT_TRUE(first);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), LedgerError::locked);
}

TEST_F(LedgerTest, CannotBeOpenedWhereThereIsNoDirectory) {
  path_ = directory_.file("missing/ledger");
  const auto ledger = open();
  ASSERT_FALSE(ledger);
  EXPECT_EQ(ledger.error(), LedgerError::cannot_open);
}

TEST_F(LedgerTest, NeverWritesAgainAfterAFailedWrite) {
  auto ledger = open();
  ASSERT_TRUE(ledger);
  ASSERT_TRUE(ledger->append(capture_line("one"), ""));

  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = capture_line("one").size() + 10, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto failed = ledger->append(capture_line("two"), "");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), LedgerError::cannot_write);

  EXPECT_FALSE(ledger->append(capture_line("three"), ""));
  EXPECT_EQ(contents(path_), capture_line("one") + capture_line("two").substr(0, 10));
}

}  // namespace
}  // namespace penstock::gateway
