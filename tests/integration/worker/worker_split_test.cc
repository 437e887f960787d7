// Split decode equals whole, over gRPC and ZeroMQ.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/worker/worker_pair.h"

namespace baton {
namespace {

struct Split : testing::Test {
  static FakeRunnerOptions Model(int64_t pages) {
    FakeRunnerOptions model;
    model.pages = pages;
    return model;
  }
  Node prefill{WorkerRole::kPrefill, Model(256)};
  Node decode{WorkerRole::kDecode, Model(96)};
  Node whole{WorkerRole::kDecode, Model(256)};
};

TEST_F(Split, EqualsWhole) {
  for (uint64_t i = 1; i <= 40; ++i) {
    const auto prompt = MakePrompt(i, 1 + (i * 37) % 150, i % 3 == 0 ? 64 : 0);
    const DecodeResult expected = DecodeClient(whole, Local(MakeSpec(i, prompt, 20))).Join();
    ASSERT_TRUE(expected.status.ok()) << expected.status.error_message();
    PrefillResult first;
    const DecodeResult got = RunSplit(prefill, decode, MakeSpec(i, prompt, 20), &first);
    ASSERT_TRUE(got.status.ok()) << got.status.error_message();
    EXPECT_EQ(got.tokens, expected.tokens) << "prompt " << i;
    EXPECT_EQ(got.kv, v1::KV_OUTCOME_HELD);
    EXPECT_EQ(expected.kv, v1::KV_OUTCOME_LOCAL);
    EXPECT_EQ(first.first_token, got.tokens.front());
    EXPECT_EQ(first.outcome, v1::KV_OUTCOME_HELD);
    EXPECT_TRUE(first.status.ok());
  }
  EXPECT_TRUE(prefill.AtRest());
  EXPECT_TRUE(decode.AtRest());
  EXPECT_EQ(prefill.worker->Status().handoff.owned_held, 40u);
  EXPECT_GT(prefill.worker->Status().ranks[0].prefix_hits, 0);
  EXPECT_EQ(decode.worker->Status().handoff.checksum_failures, 0u);
}

// A router takes the first token from whoever reports it first.
TEST_F(Split, BothSidesReportTheFirstTokenAlike) {
  v1::GenerateSpec spec = MakeSpec(1, MakePrompt(1, 100), 4);
  spec.set_top_logprobs(3);
  PrefillResult prefilled;
  const DecodeResult decoded = RunSplit(prefill, decode, spec, &prefilled);
  ASSERT_TRUE(decoded.status.ok()) << decoded.status.error_message();
  ASSERT_EQ(decoded.kv, v1::KV_OUTCOME_HELD);
  EXPECT_EQ(prefilled.first.top_size(), 3);
  EXPECT_LT(prefilled.first.logprob(), 0);
  EXPECT_EQ(decoded.first->SerializeAsString(), prefilled.first.SerializeAsString());
}

TEST_F(Split, ManyAtOnceEqualWhole) {
  constexpr uint64_t kStreams = 24;
  std::vector<DecodeResult> got(kStreams);
  {
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < kStreams; ++i) {
      threads.emplace_back(
          [&, i] { got[i] = RunSplit(prefill, decode, MakeSpec(i + 1, MakePrompt(i + 1, 30 + i * 3), 40)); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  for (uint64_t i = 0; i < kStreams; ++i) {
    if (got[i].status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) continue;
    ASSERT_TRUE(got[i].status.ok()) << got[i].status.error_message();
    EXPECT_EQ(got[i].tokens,
              DecodeClient(whole, Local(MakeSpec(i + 1, MakePrompt(i + 1, 30 + i * 3), 40))).Join().tokens);
  }
  EXPECT_TRUE(prefill.AtRest());
  EXPECT_TRUE(decode.AtRest());
}

TEST_F(Split, TheSamePromptAgainComesFromTheCache) {
  const auto prompt = MakePrompt(7, 100);
  PrefillResult first, second;
  const DecodeResult one = RunSplit(prefill, decode, MakeSpec(1, prompt, 5), &first);
  v1::GenerateSpec again = MakeSpec(2, prompt, 5);
  again.mutable_sampling()->set_seed(1);
  const DecodeResult two = RunSplit(prefill, decode, again, &second);
  EXPECT_EQ(one.tokens, two.tokens);
  EXPECT_EQ(first.cached_tokens, 0u);
  EXPECT_EQ(second.cached_tokens, 96u);
  EXPECT_EQ(two.kv, v1::KV_OUTCOME_HELD);
}

TEST_F(Split, WatchTellsASnapshotThenDeltas) {
  grpc::ClientContext context;
  v1::WatchRequest request;
  request.set_interval_ms(20);
  auto watch = decode.stub->Watch(&context, request);
  v1::WatchEvent event;
  ASSERT_TRUE(watch->Read(&event));
  EXPECT_EQ(event.number(), 0u);
  EXPECT_EQ(event.role(), v1::ROLE_DECODE);
  EXPECT_TRUE(event.healthy());
  EXPECT_FALSE(event.draining());
  EXPECT_EQ(event.info().kv().endpoint(), decode.worker->facts().kv.endpoint);
  EXPECT_EQ(event.info().page_tokens(), 16u);
  ASSERT_EQ(event.ranks_size(), 1);
  EXPECT_EQ(event.ranks(0).pages().free(), 96u);
  ASSERT_TRUE(watch->Read(&event));
  EXPECT_EQ(event.number(), 1u);
  EXPECT_FALSE(event.has_info());
  EXPECT_EQ(event.ranks_size(), 0);
  EXPECT_TRUE(DecodeClient(decode, Local(MakeSpec(1, MakePrompt(1, 40), 4))).Join().status.ok());
  uint64_t generated = 0;
  for (uint64_t number = 2; generated < 4 && number < 200; ++number) {
    ASSERT_TRUE(watch->Read(&event));
    EXPECT_EQ(event.number(), number);
    if (event.ranks_size() == 1) generated = event.ranks(0).generated_tokens();
  }
  EXPECT_EQ(generated, 4u);
  context.TryCancel();
  while (watch->Read(&event)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace baton
