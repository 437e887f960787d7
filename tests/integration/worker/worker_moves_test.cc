// Prefix blocks that move from worker to worker, over gRPC and ZeroMQ: Share at one, Fetch at another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/worker/worker_pair.h"

namespace baton {
namespace {

FakeRunnerOptions Model(uint64_t seed = 1) {
  FakeRunnerOptions model;
  model.pages = 96;
  model.seed = seed;
  return model;
}

v1::PrefixMove MakeMove(uint64_t id, const std::vector<int32_t>& tokens) {
  v1::PrefixMove move;
  move.mutable_id()->set_hi(77);
  move.mutable_id()->set_lo(id);
  move.mutable_attempt()->set_n(1);
  move.mutable_tokens()->Add(tokens.begin(), tokens.end());
  move.set_timeout_ms(20000);
  return move;
}

struct MoveResult {
  uint32_t shared = 0;
  v1::KvOutcome owner = v1::KV_OUTCOME_UNSPECIFIED, reader = v1::KV_OUTCOME_UNSPECIFIED;
  uint32_t cached = 0, fetched = 0;
  std::string detail;
  grpc::Status share_status, fetch_status;
};

// Shares the prefix of `tokens` at `from`, and fetches it at `to`.
MoveResult Move(Node& from, Node& to, uint64_t id, const std::vector<int32_t>& tokens) {
  MoveResult result;
  v1::ShareRequest share;
  *share.mutable_move() = MakeMove(id, tokens);
  share.mutable_reader_epoch()->set_hi(to.worker->facts().kv.epoch.hi);
  share.mutable_reader_epoch()->set_lo(to.worker->facts().kv.epoch.lo);
  grpc::ClientContext share_context, fetch_context;
  auto sharing = from.stub->Share(&share_context, share);
  v1::ShareEvent shared;
  if (sharing->Read(&shared)) result.shared = shared.shared().tokens();
  if (result.shared > 0) {
    v1::FetchRequest fetch;
    *fetch.mutable_move() = MakeMove(id, {tokens.begin(), tokens.begin() + result.shared});
    *fetch.mutable_source() = FromOwner({}, from).source();
    auto fetching = to.stub->Fetch(&fetch_context, fetch);
    v1::FetchEvent fetched;
    if (fetching->Read(&fetched)) {
      result.reader = fetched.fetched().outcome();
      result.cached = fetched.fetched().cached_tokens();
      result.fetched = fetched.fetched().fetched_tokens();
      result.detail = fetched.fetched().detail();
    }
    result.fetch_status = fetching->Finish();
    if (!result.fetch_status.ok()) share_context.TryCancel();
  }
  while (sharing->Read(&shared)) result.owner = shared.ended().outcome();
  result.share_status = sharing->Finish();
  return result;
}

struct Moves : testing::Test {
  Node a{WorkerRole::kDecode, Model()};
  Node b{WorkerRole::kDecode, Model()};
};

TEST_F(Moves, AStreamGoesOnWhereItsBlocksWent) {
  const auto prompt = MakePrompt(1, 90);
  const DecodeResult whole = DecodeClient(a, Local(MakeSpec(1, prompt, 60))).Join();
  const MoveResult moved = Move(a, b, 1, prompt);
  EXPECT_EQ(moved.shared, 80u);
  EXPECT_EQ(moved.owner, v1::KV_OUTCOME_HELD);
  EXPECT_EQ(moved.reader, v1::KV_OUTCOME_HELD) << moved.detail;
  EXPECT_EQ(moved.fetched, 80u);
  EXPECT_TRUE(moved.share_status.ok() && moved.fetch_status.ok());

  v1::GenerateSpec rest = MakeSpec(1, prompt, 60, /*n=*/2);
  rest.mutable_tokens()->Add(whole.tokens.begin(), whole.tokens.begin() + 20);
  rest.set_prompt_tokens(90);
  const DecodeResult second = DecodeClient(b, Local(rest)).Join();
  EXPECT_EQ(second.tokens, std::vector<int32_t>(whole.tokens.begin() + 20, whole.tokens.end()));
  EXPECT_TRUE(b.Becomes([](const WorkerStatus& status) { return status.ranks[0].prefix_hit_tokens == 80; }));
  EXPECT_TRUE(a.AtRest() && b.AtRest());
  EXPECT_TRUE(b.models[0]->violations().empty());
}

TEST_F(Moves, SecondTimeNothingMoves) {
  const auto prompt = MakePrompt(2, 64);
  DecodeClient(a, Local(MakeSpec(1, prompt, 3))).Join();
  EXPECT_EQ(Move(a, b, 1, prompt).fetched, 64u);
  const MoveResult again = Move(a, b, 2, prompt);
  EXPECT_EQ(again.reader, v1::KV_OUTCOME_LOCAL);
  EXPECT_EQ(again.cached, 64u);
  EXPECT_EQ(again.fetched, 0u);
  EXPECT_TRUE(a.AtRest() && b.AtRest());
}

TEST_F(Moves, ManyReadersAtOnceOfWhatIsBeingDecoded) {
  const auto prompt = MakePrompt(3, 90);
  DecodeClient running(a, Local(MakeSpec(1, prompt, 300)));
  ASSERT_TRUE(running.WaitFor(5));
  std::vector<std::unique_ptr<Node>> readers;
  for (int i = 0; i < 4; ++i) readers.push_back(std::make_unique<Node>(WorkerRole::kPrefill, Model()));
  std::vector<MoveResult> moved(readers.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < readers.size(); ++i) {
    threads.emplace_back([&, i] { moved[i] = Move(a, *readers[i], 10 + i, prompt); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const MoveResult& result : moved) {
    EXPECT_EQ(result.reader, v1::KV_OUTCOME_HELD) << result.detail;
    EXPECT_EQ(result.fetched, 80u);
  }
  running.Cancel();
  running.Join();
  EXPECT_TRUE(a.AtRest());
}

TEST_F(Moves, UnknownTokensShareNothing) {
  const MoveResult nothing = Move(a, b, 1, MakePrompt(4, 64));
  EXPECT_EQ(nothing.shared, 0u);
  EXPECT_TRUE(nothing.share_status.ok());
  EXPECT_TRUE(a.AtRest());
}

TEST_F(Moves, AnotherFingerprintIsRefusedAndLost) {
  Node other(WorkerRole::kDecode, Model(/*seed=*/2));
  const auto prompt = MakePrompt(5, 64);
  DecodeClient(a, Local(MakeSpec(1, prompt, 3))).Join();
  const MoveResult moved = Move(a, other, 1, prompt);
  EXPECT_EQ(moved.reader, v1::KV_OUTCOME_LOST);
  EXPECT_THAT(moved.detail, testing::HasSubstr("fingerprint"));
  EXPECT_TRUE(other.AtRest());
  EXPECT_TRUE(other.Becomes([](const WorkerStatus& status) { return status.ranks[0].pages.cached == 0; }));
}

TEST_F(Moves, ADrainingWorkerSharesButFetchesNoMore) {
  const auto prompt = MakePrompt(6, 64);
  DecodeClient running(a, Local(MakeSpec(1, prompt, 300)));
  ASSERT_TRUE(running.WaitFor(2));
  a.worker->Drain(absl::Seconds(20), [](const DrainState&) {});
  ASSERT_TRUE(a.Becomes([](const WorkerStatus& status) { return status.drain.draining; }));
  EXPECT_EQ(Move(a, b, 1, prompt).reader, v1::KV_OUTCOME_HELD);
  EXPECT_EQ(Move(b, a, 2, prompt).fetch_status.error_code(), grpc::StatusCode::UNAVAILABLE);
  running.Cancel();
  running.Join();
  EXPECT_TRUE(b.AtRest());
}

}  // namespace
}  // namespace baton
