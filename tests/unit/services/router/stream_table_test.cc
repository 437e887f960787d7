#include "services/router/serve/stream_table.h"

#include <gtest/gtest.h>

#include <optional>

namespace baton::router {
namespace {

struct FakeStream final : MovableStream {
  void RequestMove(RankRef target, MoveDone done) override {
    asked = target;
    done(absl::OkStatus());
  }
  std::optional<RankRef> asked;
};

TEST(StreamTableTest, ListsWhatIsOpenInOrder) {
  StreamTable table;
  const auto stream = std::make_shared<FakeStream>();
  StreamTable::Entry second = table.Add({2, 0}, stream);
  {
    StreamTable::Entry first = table.Add({1, 0}, stream);
    first.Set({.at = {5, 1}, .worker = "w", .prompt_tokens = 3, .tokens = 4});
    const auto list = table.List();
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[0].first, (StreamId{1, 0}));
    EXPECT_EQ(list[0].second.at, (RankRef{5, 1}));
    EXPECT_EQ(list[0].second.tokens, 4u);
  }
  EXPECT_EQ(table.List().size(), 1u);
  StreamTable::Entry moved = std::move(second);
  EXPECT_EQ(table.List().size(), 1u);
  moved = StreamTable::Entry();
  EXPECT_TRUE(table.List().empty());
  moved.Set({});  // of no table: nothing
}

TEST(StreamTableTest, AsksAStreamToMoveOrSaysThatItIsGone) {
  StreamTable table;
  auto stream = std::make_shared<FakeStream>();
  const StreamTable::Entry entry = table.Add({1, 0}, stream);
  absl::Status told = absl::UnknownError("");
  const auto done = [&](absl::Status status) { told = std::move(status); };
  table.Move({1, 0}, {7, 2}, done);
  EXPECT_TRUE(told.ok());
  EXPECT_EQ(stream->asked, (RankRef{7, 2}));
  table.Move({3, 0}, {7, 2}, done);
  EXPECT_TRUE(absl::IsNotFound(told));
  stream.reset();
  told = absl::OkStatus();
  table.Move({1, 0}, {7, 2}, done);
  EXPECT_TRUE(absl::IsNotFound(told));
}

}  // namespace
}  // namespace baton::router
