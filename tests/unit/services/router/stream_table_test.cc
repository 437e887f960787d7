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
  void WorkerSilent(uint64_t worker) override { silent = worker; }
  std::optional<RankRef> asked;
  uint64_t silent = 0;
};

TEST(StreamTableTest, TellsTheStreamsOfASilentWorker) {
  StreamTable table;
  const auto decoded = std::make_shared<FakeStream>(), prefilled = std::make_shared<FakeStream>(),
             other = std::make_shared<FakeStream>();
  StreamTable::Entry a = table.Add({1, 0}, decoded), b = table.Add({2, 0}, prefilled),
                     c = table.Add({3, 0}, other);
  a.Set({.at = {5, 0}});
  b.Set({.at = {6, 0}, .prefill_worker = 5});
  c.Set({.at = {6, 0}, .prefill_worker = 7});
  table.WorkerSilent(5);
  EXPECT_EQ(decoded->silent, 5u);
  EXPECT_EQ(prefilled->silent, 5u);
  EXPECT_EQ(other->silent, 0u);
}

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
