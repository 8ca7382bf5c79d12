#include "adapters/system/receipt_files.h"

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/system/system_random.h"

namespace penstock::system {
namespace {

namespace fs = std::filesystem;

class ReceiptFilesTest : public testing::Test {
 protected:
  ReceiptFilesTest() {
    SystemRandom random;
    folder_ = fs::temp_directory_path() / ("receipts-" + std::to_string(random.next()));
    fs::create_directories(folder_);
  }
  ~ReceiptFilesTest() override { fs::remove_all(folder_); }

  std::function<void()> waker() {
    return [this] {
      std::lock_guard const lock(mutex_);
      ++wakes_;
      woken_.notify_all();
    };
  }

  /// Replies until there are `count`.
  std::vector<ports::CopyReply> replies_of(ReceiptFiles& files, std::size_t count) {
    std::vector<ports::CopyReply> replies;
    std::unique_lock lock(mutex_);
    while (true) {
      lock.unlock();
      files.poll(replies);
      lock.lock();
      if (replies.size() >= count) return replies;
      int const seen = wakes_;
      if (!woken_.wait_for(lock, std::chrono::minutes(1), [&] { return wakes_ != seen; })) {
        ADD_FAILURE() << "no wake-up";
        return replies;
      }
    }
  }

  static ports::ReceiptCopy copy(std::uint64_t ticket, const std::string& tenant,
                                 const std::string& receipt) {
    return {.ticket = ticket,
            .order = domain::OrderId::make({1'700'000'000'000'000}, 0, ticket),
            .tenant = domain::TenantId::unchecked(tenant),
            .receipt = receipt};
  }

  static std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  fs::path folder_;
  std::mutex mutex_;
  std::condition_variable woken_;
  int wakes_ = 0;
};

TEST_F(ReceiptFilesTest, a_copy_is_a_file_of_its_order_in_its_tenants_folder) {
  ReceiptFiles files(folder_, waker());
  std::vector copies{copy(1, "acme", "{\"a\":1}"), copy(2, "other", "{}")};
  auto const first = copies[0].order.str();
  files.submit(copies);
  auto const replies = replies_of(files, 2);
  for (const auto& reply : replies) EXPECT_EQ(reply.outcome, ports::CopyOutcome::stored);
  EXPECT_EQ(text_of(folder_ / "acme" / (first + ".json")), "{\"a\":1}");
}

TEST_F(ReceiptFilesTest, writing_a_copy_again_replaces_it_whole_and_leaves_no_draft) {
  ReceiptFiles files(folder_, waker());
  for (const std::string receipt : {"a long first version", "short"}) {
    std::vector copies{copy(1, "acme", receipt)};
    files.submit(copies);
    replies_of(files, 1);
  }
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder_ / "acme")) found.push_back(entry.path());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(text_of(found[0]), "short");
}

TEST_F(ReceiptFilesTest, a_folder_that_cannot_be_written_fails_the_copy_and_no_other) {
  std::ofstream(folder_ / "acme") << "a file where a folder has to be";
  ReceiptFiles files(folder_, waker());
  std::vector copies{copy(1, "acme", "{}"), copy(2, "other", "{}")};
  files.submit(copies);
  for (const auto& reply : replies_of(files, 2)) {
    EXPECT_EQ(reply.outcome,
              reply.ticket == 1 ? ports::CopyOutcome::failed : ports::CopyOutcome::stored);
  }
}

TEST_F(ReceiptFilesTest, a_tenants_name_never_leads_out_of_the_folder) {
  EXPECT_EQ(folder_of(domain::TenantId::unchecked("..")), "%2E.");
  EXPECT_EQ(folder_of(domain::TenantId::unchecked(".")), "%2E");
  EXPECT_EQ(folder_of(domain::TenantId::unchecked("a..b:c")), "a..b:c");
  ReceiptFiles files(folder_ / "inner", waker());
  std::vector copies{copy(1, "..", "{}")};
  files.submit(copies);
  EXPECT_EQ(replies_of(files, 1).at(0).outcome, ports::CopyOutcome::stored);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_EQ(entry.path().filename(), "inner");
  }
}

TEST_F(ReceiptFilesTest, more_copies_than_may_wait_are_answered_failed_and_none_is_lost) {
  ReceiptFiles files(folder_, waker());
  std::vector<ports::ReceiptCopy> copies;
  // Refused without being written: the folder's name is taken by a file, which makes it quick.
  std::ofstream(folder_ / "acme") << "";
  std::size_t const sent = kMaxWaitingReceipts + 100;
  for (std::size_t ticket = 0; ticket < sent; ++ticket) copies.push_back(copy(ticket, "acme", ""));
  files.submit(copies);
  EXPECT_EQ(replies_of(files, sent).size(), sent);
}

}  // namespace
}  // namespace penstock::system
