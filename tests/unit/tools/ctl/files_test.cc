#include "tools/ctl/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace baton::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "/baton-files-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Append(const std::string& text) { std::ofstream(folder_ + "/log", std::ios::app) << text; }

  std::string folder_;
};

TEST_F(FilesTest, ATailGivesWholeLines) {
  FileTail tail(folder_ + "/log", 0);
  EXPECT_THAT(tail.ReadNewLines(), IsEmpty());
  Append("one\ntwo\nthr");
  EXPECT_THAT(tail.ReadNewLines(), ElementsAre("one", "two"));
  EXPECT_THAT(tail.ReadNewLines(), IsEmpty());
  Append("ee\n\n");
  EXPECT_THAT(tail.ReadNewLines(), ElementsAre("three", ""));
}

TEST_F(FilesTest, APrivateFolderIsNeitherALinkNorWritableForOthers) {
  const std::string path = folder_ + "/a/b", link = folder_ + "/link";
  ASSERT_TRUE(MakePrivateFolder(path).ok());
  EXPECT_TRUE(MakePrivateFolder(path).ok());
  std::filesystem::create_symlink(path, link);
  EXPECT_THAT(CheckPrivateFolder(link).message(), HasSubstr("not a folder of this user"));
  ASSERT_EQ(chmod(path.c_str(), 0770), 0);
  EXPECT_EQ(MakePrivateFolder(path).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(CheckPrivateFolder(folder_ + "/none").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace baton::ctl
