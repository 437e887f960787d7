// The fake must notice what it is there to notice.

#include "tests/support/fake_runner.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/unit/engine/core/core_harness.h"

namespace baton {
namespace {

class FakeRunnerTest : public ::testing::Test {
 protected:
  absl::Status Forward(absl::Span<const TokenId> tokens, int64_t start, std::vector<PageId> pages) {
    const ForwardItem item{.tokens = tokens, .start = start, .pages = pages, .want_logits = true};
    return runner_.Forward({item}, nullptr, absl::MakeSpan(logits_));
  }

  FakeRunner runner_;
  std::vector<float> logits_ = std::vector<float>(64);
  const std::vector<TokenId> tokens_ = RandomTokens(1, 40);
};

TEST_F(FakeRunnerTest, ChunksAndPagesDoNotMatter) {
  ASSERT_TRUE(Forward(tokens_, 0, {0, 1, 2}).ok());
  const std::vector<float> whole = logits_;
  EXPECT_EQ(whole, runner_.Logits(tokens_));
  ASSERT_TRUE(Forward(absl::MakeConstSpan(tokens_).first(23), 0, {9, 4, 7}).ok());
  ASSERT_TRUE(Forward(absl::MakeConstSpan(tokens_).subspan(23), 23, {9, 4, 7}).ok());
  EXPECT_EQ(logits_, whole);
  EXPECT_EQ(std::memcmp(runner_.PageData(1), runner_.PageData(4), runner_.kv_layout().PageBytes()), 0);
  EXPECT_EQ(runner_.ReadTokens({9, 4, 7}, 40), tokens_);
  runner_.Fill(tokens_, {20, 21, 22});
  EXPECT_EQ(runner_.ReadTokens({20, 21, 22}, 40), tokens_);
  EXPECT_TRUE(runner_.violations().empty());
}

TEST_F(FakeRunnerTest, EveryByteOfThePrefixIsChecked) {
  ASSERT_TRUE(Forward(tokens_, 0, {0, 1, 2}).ok());
  const size_t bytes = runner_.kv_layout().PageBytes();
  for (size_t at = 0; at < bytes; ++at) {
    runner_.PageData(1)[at] ^= std::byte{4};
    EXPECT_EQ(Forward({5}, 40, {0, 1, 2}).code(), absl::StatusCode::kDataLoss) << at;
    runner_.PageData(1)[at] ^= std::byte{4};
  }
  EXPECT_EQ(runner_.violations().size(), bytes);
  EXPECT_TRUE(Forward({5}, 40, {0, 1, 2}).ok());
}

TEST_F(FakeRunnerTest, ForeignSwappedAndMissingPagesAreViolations) {
  ASSERT_TRUE(Forward(tokens_, 0, {0, 1, 2}).ok());
  ASSERT_TRUE(Forward(RandomTokens(2, 40), 0, {3, 4, 5}).ok());
  EXPECT_EQ(Forward({5}, 40, {0, 4, 2}).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Forward({5}, 40, {1, 0, 2}).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Forward({5}, 40, {0, 1, 6}).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Forward({5}, 41, {0, 1, 2}).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Forward({5}, 40, {0, 1}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Forward({5}, 40, {0, 1, 64}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Forward({64}, 0, {0}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(runner_.violations().size(), 7u);
}

}  // namespace
}  // namespace baton
