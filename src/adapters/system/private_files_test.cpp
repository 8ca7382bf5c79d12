#include "adapters/system/private_files.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace penstock::system {
namespace {

namespace fs = std::filesystem;

class PrivateFilesTest : public ::testing::Test {
 protected:
  PrivateFilesTest() {
    std::string pattern = fs::temp_directory_path() / "penstock-private-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no directory");
    root = pattern;
  }
  ~PrivateFilesTest() override {
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }
  void make(const fs::path& file, unsigned mode) const {
    std::ofstream(file) << "x";
    fs::permissions(file, static_cast<fs::perms>(mode));
  }
  static unsigned mode(const fs::path& file) {
    return static_cast<unsigned>(fs::status(file).permissions());
  }

  fs::path root;
};

TEST_F(PrivateFilesTest, ATreeIsNarrowedToItsOwner) {
  fs::create_directories(root / "store/deep");
  fs::permissions(root / "store", static_cast<fs::perms>(0755));
  fs::permissions(root / "store/deep", static_cast<fs::perms>(0700));
  make(root / "store/log", 0644);
  make(root / "store/deep/table", 0660);
  make(root / "store/private", 0600);
  make(root / "elsewhere", 0644);
  fs::create_symlink(root / "elsewhere", root / "store/link");
  EXPECT_EQ(make_private(root / "store").value(), 3U);
  EXPECT_EQ(mode(root / "store"), 0700U);
  EXPECT_EQ(mode(root / "store/log"), 0600U);
  EXPECT_EQ(mode(root / "store/deep/table"), 0600U);
  EXPECT_EQ(mode(root / "elsewhere"), 0644U);
  EXPECT_EQ(make_private(root / "store").value(), 0U);
}

TEST_F(PrivateFilesTest, WhatIsNotThereCountsNothing) {
  EXPECT_EQ(make_private(root / "nothing").value(), 0U);
}

TEST_F(PrivateFilesTest, AFileIsNarrowedAlone) {
  make(root / "ledger", 0640);
  make(root / "beside", 0640);
  EXPECT_EQ(make_private(root / "ledger").value(), 1U);
  EXPECT_EQ(mode(root / "ledger"), 0600U);
  EXPECT_EQ(mode(root / "beside"), 0640U);
}

}  // namespace
}  // namespace penstock::system
