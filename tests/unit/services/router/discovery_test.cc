#include "services/router/registry/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace baton::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Endpoints = std::vector<std::string>;

TEST(Discovery, WorkersFileLines) {
  EXPECT_THAT(*ParseWorkersFile("# all\n a:1 \n\nb.example:2 # note\r\n[::1]:3\n"),
              ElementsAre("a:1", "b.example:2", "[::1]:3"));
  EXPECT_THAT(*ParseWorkersFile(""), IsEmpty());
  for (const char* bad : {"a", "a:", ":1", "a:0", "a:70000", "a b:1", "http://a:1"}) {
    EXPECT_FALSE(ParseWorkersFile(bad).ok()) << bad;
  }
}

TEST(Discovery, Resolves) {
  EXPECT_THAT(*ResolveWorkers("127.0.0.1:77"), ElementsAre("127.0.0.1:77"));
  EXPECT_FALSE(ResolveWorkers("127.0.0.1").ok());
  EXPECT_FALSE(ResolveWorkers("no-such-host.invalid:1").ok());
}

class WatchedFile : public ::testing::Test {
 protected:
  ~WatchedFile() override { std::filesystem::remove(path_); }
  void Write(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    std::filesystem::rename(path_ + ".new", path_);
  }
  bool WaitFor(const Endpoints& wanted) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&] { return found_ == wanted; };
    return mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(10));
  }
  std::function<void(const Endpoints&)> Found() {
    return [this](const Endpoints& endpoints) {
      absl::MutexLock lock(&mutex_);
      found_ = endpoints;
    };
  }
  std::function<void(const absl::Status&)> Warn() {
    return [this](const absl::Status&) {
      absl::MutexLock lock(&mutex_);
      ++warnings_;
    };
  }
  const std::string path_ = absl::StrCat(::testing::TempDir(), "/workers.", getpid());
  absl::Mutex mutex_;
  Endpoints found_;
  int warnings_ = 0;
};

TEST_F(WatchedFile, ChangesAreFoundAndBadContentKeepsTheLast) {
  Write("b:2\n");
  const Discovery discovery({.workers = {"a:1"}, .file = path_, .file_interval = absl::Milliseconds(5)},
                            Found(), Warn());
  EXPECT_THAT(found_, ElementsAre("a:1", "b:2")) << "before the constructor returns";
  Write("b:2\nc:3\n");
  EXPECT_TRUE(WaitFor({"a:1", "b:2", "c:3"}));
  Write("nonsense\n");
  {
    absl::MutexLock lock(&mutex_);
    const auto warned = [&] { return warnings_ == 1; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&warned), absl::Seconds(10)));
    EXPECT_EQ(found_.size(), 3u);
  }
  Write("d:4\n");
  EXPECT_TRUE(WaitFor({"a:1", "d:4"}));
}

TEST_F(WatchedFile, AFileMayAppearLater) {
  const Discovery discovery({.file = path_, .file_interval = absl::Milliseconds(5)}, Found(), Warn());
  Write("late:1\n");
  EXPECT_TRUE(WaitFor({"late:1"}));
}

TEST(CheckDiscovery, WantsASourceAndAddresses) {
  EXPECT_FALSE(CheckDiscovery({}).ok());
  EXPECT_TRUE(CheckDiscovery({.workers = {"a:1", "[::1]:2"}}).ok());
  EXPECT_TRUE(CheckDiscovery({.file = "workers"}).ok());
  EXPECT_TRUE(CheckDiscovery({.dns_name = "workers.local:9000"}).ok());
  EXPECT_FALSE(CheckDiscovery({.workers = {"a:1", "b"}}).ok());
  EXPECT_FALSE(CheckDiscovery({.dns_name = "workers.local"}).ok());
}

}  // namespace
}  // namespace baton::router
