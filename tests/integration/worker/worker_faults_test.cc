// Cancelled, superseded, refused, drained, too slow: every page comes back, every call ends in words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/worker/worker_pair.h"

namespace baton {
namespace {

constexpr grpc::StatusCode kAborted = grpc::StatusCode::ABORTED;
constexpr grpc::StatusCode kUnavailable = grpc::StatusCode::UNAVAILABLE;

struct Faults : testing::Test {
  static FakeRunnerOptions Model() {
    FakeRunnerOptions model;
    model.max_context = 100000;
    model.pages = 7000;
    return model;
  }
  Node prefill{WorkerRole::kPrefill, Model()};
  Node decode{WorkerRole::kDecode, Model()};
};

TEST_F(Faults, CancelMidStreamGivesAllBack) {
  DecodeClient client(decode, Local(MakeSpec(1, MakePrompt(1, 50), 90000)));
  ASSERT_TRUE(client.WaitFor(3));
  client.Cancel();
  EXPECT_EQ(client.Join().status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(decode.AtRest());
}

TEST_F(Faults, CancelWhileWaitingForTheOwnerGivesAllBack) {
  DecodeClient client(decode, FromOwner(MakeSpec(1, MakePrompt(1, 50), 10), prefill));
  ASSERT_TRUE(client.WaitFor(0));
  EXPECT_TRUE(decode.Becomes([](const WorkerStatus& status) {
    return status.ranks.at(0).pages.pulling + status.ranks.at(0).pages.used > 0;
  }));
  client.Cancel();
  EXPECT_EQ(client.Join().status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(decode.AtRest());
}

TEST_F(Faults, APrefillWhoseReaderNeverComesEndsWithItsCall) {
  v1::PrefillRequest request;
  *request.mutable_spec() = MakeSpec(1, MakePrompt(1, 80), 10);
  request.mutable_reader_epoch()->set_hi(99);
  grpc::ClientContext context;
  auto stream = prefill.stub->Prefill(&context, request);
  v1::PrefillEvent event;
  ASSERT_TRUE(stream->Read(&event));
  EXPECT_TRUE(event.has_first_token());
  context.TryCancel();
  while (stream->Read(&event)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(prefill.AtRest());
}

TEST_F(Faults, AWrongOwnerEpochIsRecomputedWithTheSameTokens) {
  const v1::GenerateSpec spec = MakeSpec(1, MakePrompt(1, 50), 10);
  v1::DecodeRequest request = FromOwner(spec, prefill);
  request.mutable_source()->mutable_epoch()->set_hi(1234);
  const DecodeResult lost = DecodeClient(decode, request).Join();
  ASSERT_TRUE(lost.status.ok()) << lost.status.error_message();
  EXPECT_EQ(lost.kv, v1::KV_OUTCOME_LOST);
  v1::GenerateSpec again = MakeSpec(2, MakePrompt(1, 50), 10);
  again.mutable_sampling()->set_seed(1);
  EXPECT_EQ(lost.tokens, DecodeClient(decode, Local(again)).Join().tokens);
  EXPECT_TRUE(decode.AtRest());
}

TEST_F(Faults, AnOwnerOfOtherNumbersIsRefusedAndThePromptComputedHere) {
  FakeRunnerOptions other;
  other.seed = 2;
  Node owner(WorkerRole::kPrefill, other);
  const v1::GenerateSpec spec = MakeSpec(1, MakePrompt(1, 90), 12);
  const DecodeResult got = RunSplit(owner, decode, spec);
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  EXPECT_EQ(got.kv, v1::KV_OUTCOME_LOST);
  EXPECT_EQ(got.tokens, DecodeClient(decode, Local(MakeSpec(1, MakePrompt(1, 90), 12, 1))).Join().tokens);
  EXPECT_TRUE(decode.Becomes([](const WorkerStatus& status) { return status.handoff.pulls_refused == 1; }));
  EXPECT_TRUE(decode.AtRest());
  EXPECT_TRUE(owner.AtRest());
}

// Two that were told to take each other's numbers.
TEST(InexactPair, IsServedMarkedUnlessTheModelsDiffer) {
  for (const bool same_model : {true, false}) {
    FakeRunnerOptions ours = Faults::Model(), theirs = Faults::Model();
    theirs.numerics = "-rounded";
    theirs.seed = same_model ? ours.seed : 2;
    Node owner(WorkerRole::kPrefill, theirs, 256, /*accept_inexact=*/true);
    Node reader(WorkerRole::kDecode, ours, 256, /*accept_inexact=*/true);
    const DecodeResult got = RunSplit(owner, reader, MakeSpec(1, MakePrompt(1, 90), 12));
    ASSERT_TRUE(got.status.ok()) << got.status.error_message();
    EXPECT_EQ(got.kv, same_model ? v1::KV_OUTCOME_HELD : v1::KV_OUTCOME_LOST);
    EXPECT_EQ(got.inexact, same_model);
    EXPECT_EQ(got.tokens, DecodeClient(reader, Local(MakeSpec(1, MakePrompt(1, 90), 12, 1))).Join().tokens);
    EXPECT_TRUE(reader.Becomes(
        [&](const WorkerStatus& status) { return status.handoff.pulls_refused == (same_model ? 0u : 1u); }));
    EXPECT_TRUE(owner.AtRest() && reader.AtRest());
  }
}

TEST_F(Faults, AHigherAttemptEndsTheOlder) {
  DecodeClient older(decode, Local(MakeSpec(1, MakePrompt(1, 50), 90000, 1)));
  ASSERT_TRUE(older.WaitFor(1));
  DecodeClient newer(decode, Local(MakeSpec(1, MakePrompt(1, 50), 5, 2)));
  EXPECT_EQ(older.Join().status.error_code(), kAborted);
  EXPECT_TRUE(newer.Join().status.ok());
  const DecodeResult equal = DecodeClient(decode, Local(MakeSpec(1, MakePrompt(1, 50), 5, 2))).Join();
  EXPECT_EQ(equal.status.error_code(), kAborted);
  EXPECT_THAT(equal.status.error_message(), testing::StartsWith("superseded"));
  EXPECT_TRUE(decode.AtRest());
}

TEST_F(Faults, TheRoleGateRefuses) {
  EXPECT_EQ(RunPrefill(decode, prefill, MakeSpec(1, {1, 2, 3}, 5)).status.error_code(), kUnavailable);
  EXPECT_EQ(DecodeClient(prefill, Local(MakeSpec(1, {1, 2, 3}, 5))).Join().status.error_code(), kUnavailable);
}

TEST_F(Faults, NonsenseIsInvalidArgument) {
  v1::DecodeRequest no_sampling = Local(MakeSpec(1, {1}, 5));
  no_sampling.mutable_spec()->clear_sampling();
  v1::DecodeRequest no_tokens = Local(MakeSpec(1, {}, 5));
  v1::DecodeRequest no_such_token = Local(MakeSpec(1, {64}, 5));
  v1::DecodeRequest no_such_rank = Local(MakeSpec(1, {1}, 5));
  no_such_rank.set_rank(1);
  for (const v1::DecodeRequest& request : {no_sampling, no_tokens, no_such_token, no_such_rank}) {
    const DecodeResult result = DecodeClient(decode, request).Join();
    EXPECT_EQ(result.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << result.status.error_message();
  }
}

TEST_F(Faults, DrainLetsTheShortFinishAndCutsTheLongOff) {
  DecodeClient brief(decode, Local(MakeSpec(1, MakePrompt(1, 50), 2)));
  DecodeClient endless(decode, Local(MakeSpec(2, MakePrompt(2, 50), 90000)));
  ASSERT_TRUE(brief.WaitFor(1));
  ASSERT_TRUE(endless.WaitFor(1));
  grpc::ClientContext context;
  v1::DrainRequest request;
  request.set_grace_ms(300);
  v1::DrainResponse response;
  ASSERT_TRUE(decode.stub->Drain(&context, request, &response).ok());
  EXPECT_TRUE(brief.Join().status.ok());
  EXPECT_EQ(endless.Join().status.error_code(), kUnavailable);
  EXPECT_EQ(response.cut_off(), 1u);
  EXPECT_EQ(DecodeClient(decode, Local(MakeSpec(3, {1}, 2))).Join().status.error_code(), kUnavailable);
  EXPECT_TRUE(decode.worker->Status().drain.draining);
  EXPECT_TRUE(decode.AtRest());
}

TEST_F(Faults, AReaderThatTakesNothingIsCutOffInWords) {
  Node small(WorkerRole::kDecode, Model(), 8);
  grpc::ChannelArguments narrow;
  narrow.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  narrow.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4096);
  const auto stub = v1::Worker::NewStub(grpc::CreateCustomChannel(
      small.server->address().ToString(), grpc::InsecureChannelCredentials(), narrow));
  v1::DecodeRequest request = Local(MakeSpec(1, MakePrompt(1, 20), 90000));
  request.mutable_spec()->set_top_logprobs(20);
  grpc::ClientContext context;
  auto reader = stub->Decode(&context, request);
  v1::DecodeEvent event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_TRUE(small.Becomes([](const WorkerStatus& status) { return status.counters.too_slow == 1; }));
  EXPECT_TRUE(small.AtRest());
  while (reader->Read(&event)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(Faults, ADecodeWorkerThatDiesLeavesNothingBehindAtTheOwner) {
  auto dying = std::make_unique<Node>(WorkerRole::kDecode, Model());
  const v1::GenerateSpec spec = MakeSpec(1, MakePrompt(1, 200), 50);
  auto client = std::make_unique<DecodeClient>(*dying, FromOwner(spec, prefill));
  ASSERT_TRUE(client->WaitFor(0));
  v1::PrefillRequest request;
  *request.mutable_spec() = spec;
  request.mutable_reader_epoch()->set_hi(dying->worker->facts().kv.epoch.hi);
  request.mutable_reader_epoch()->set_lo(dying->worker->facts().kv.epoch.lo);
  client->Cancel();
  client->Join();
  dying.reset();
  grpc::ClientContext context;
  auto stream = prefill.stub->Prefill(&context, request);
  v1::PrefillEvent event;
  ASSERT_TRUE(stream->Read(&event));
  context.TryCancel();
  stream->Finish();
  EXPECT_TRUE(prefill.AtRest());
}

}  // namespace
}  // namespace baton
