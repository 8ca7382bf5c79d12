#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "adapters/system/receipt_files.h"
#include "adapters/system/system_random.h"

namespace penstock::system {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::EndsWith;

/// What was synced, in order; and how a test meets it.
struct Syncs {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> paths;
  std::string failing;  ///< a path that ends like this cannot be synced
  bool held = false;    ///< every sync waits
};

Syncs& syncs() {
  static Syncs all;
  return all;
}

int sync(int descriptor) {
  Syncs& all = syncs();
  std::unique_lock lock(all.mutex);
  std::string const path = fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor));
  all.paths.push_back(path);
  all.changed.notify_all();
  all.changed.wait(lock, [&] { return !all.held; });
  if (!all.failing.empty() && path.ends_with(all.failing)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

}  // namespace
}  // namespace penstock::system

/// Stands in for the C library's in this program.
extern "C" int fsync(int descriptor) {
  return penstock::system::sync(descriptor);
}

namespace penstock::system {
namespace {

class ReceiptDurability : public testing::Test {
 protected:
  ReceiptDurability() {
    SystemRandom random;
    folder_ = fs::temp_directory_path() / ("receipts-" + std::to_string(random.next()));
    fs::create_directories(folder_);
    std::lock_guard const lock(syncs().mutex);
    syncs().paths.clear();
  }
  ~ReceiptDurability() override {
    fail_syncs_of("");
    fs::remove_all(folder_);
  }

  static void fail_syncs_of(std::string_view ending) {
    std::lock_guard const lock(syncs().mutex);
    syncs().failing = ending;
  }
  static void hold_syncs(bool held) {
    std::lock_guard const lock(syncs().mutex);
    syncs().held = held;
    syncs().changed.notify_all();
  }
  static std::vector<std::string> synced() {
    std::lock_guard const lock(syncs().mutex);
    return syncs().paths;
  }

  static std::vector<ports::ReceiptCopy> copies(std::size_t count) {
    std::vector<ports::ReceiptCopy> made;
    for (std::size_t ticket = 1; ticket <= count; ++ticket) {
      made.push_back({.ticket = ticket,
                      .order = domain::OrderId::make({1'700'000'000'000'000}, 0, ticket),
                      .tenant = domain::TenantId::unchecked("acme"),
                      .receipt = "{}"});
    }
    return made;
  }

  /// What became of one copy.
  ports::CopyOutcome outcome_of_one() {
    ReceiptFiles files(folder_, [this] { wake(); });
    auto one = copies(1);
    files.submit(one);
    std::vector<ports::CopyReply> replies;
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(woken_.wait_for(lock, std::chrono::minutes(1), [this] { return is_woken_; }));
    files.poll(replies);
    return replies.at(0).outcome;
  }

  void wake() {
    std::lock_guard const lock(mutex_);
    is_woken_ = true;
    woken_.notify_all();
  }

  fs::path folder_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_woken_ = false;
};

TEST_F(ReceiptDurability, a_copy_is_stored_once_its_draft_and_the_folders_are_synced) {
  EXPECT_EQ(outcome_of_one(), ports::CopyOutcome::stored);
  EXPECT_THAT(synced(), ElementsAre(EndsWith(".draft"), folder_.string(), folder_ / "acme"));
}

TEST_F(ReceiptDurability, a_copy_whose_bytes_cannot_be_synced_fails_and_leaves_nothing) {
  fail_syncs_of(".draft");
  EXPECT_EQ(outcome_of_one(), ports::CopyOutcome::failed);
  EXPECT_TRUE(fs::is_empty(folder_ / "acme"));
}

TEST_F(ReceiptDurability, a_copy_whose_name_cannot_be_synced_fails) {
  fail_syncs_of("/acme");
  EXPECT_EQ(outcome_of_one(), ports::CopyOutcome::failed);
}

TEST_F(ReceiptDurability, as_many_copies_wait_as_the_limit_says) {
  hold_syncs(true);
  ReceiptFiles files(folder_, [] {});
  auto first = copies(1);
  files.submit(first);
  {
    std::unique_lock lock(syncs().mutex);
    syncs().changed.wait(lock, [] { return !syncs().paths.empty(); });
  }
  auto more = copies(kMaxWaitingReceipts + 1);
  files.submit(more);
  std::vector<ports::CopyReply> refused;
  files.poll(refused);
  fail_syncs_of(".draft");  // quicker than to write them
  hold_syncs(false);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].ticket, kMaxWaitingReceipts + 1);
  EXPECT_EQ(refused[0].outcome, ports::CopyOutcome::failed);
}

}  // namespace
}  // namespace penstock::system
