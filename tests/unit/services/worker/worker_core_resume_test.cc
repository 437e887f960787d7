#include "tests/unit/services/worker/core_harness.h"

namespace baton {
namespace {

constexpr Id128 kOwner{5, 5};

struct ResumeCore : testing::Test, CoreHarness {
  ResumeCore() : CoreHarness(WorkerRole::kDecode) {}

  // A recorded stream that decodes, its first token out.
  SeqId Running(CallId call, uint64_t stream, bool recorded = true) {
    DecodeCall decode = Decode(stream, 1, false);
    if (recorded) decode.record = {.spec = "as it came", .principal = kOwner};
    core.OnDecode(call, std::move(decode), now);
    Take();
    const SeqId id = EngineCommandOf<ServeCommand>()->id;
    Token(id, 0);
    core.OnSent(call, 2);
    Take();
    return id;
  }
  ResumeCall Attach(uint64_t stream, uint32_t claim, int64_t position) const {
    return {.stream = {1, stream}, .attempt = {claim, 1}, .principal = kOwner, .position = position};
  }
  const RecordFound* Record(uint64_t stream, Id128 principal = kOwner) {
    core.OnRecord(99, {{1, stream}, principal}, now);
    Take();
    return EventOf<RecordFound>();
  }
};

TEST_F(ResumeCore, ABrokenCallsSequenceLingersAndIsAttachedTo) {
  const SeqId id = Running(1, 1);
  core.OnCallBroken(1, now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(engine.empty());
  EXPECT_EQ(core.open_calls(), 0u);
  EXPECT_EQ(core.jobs(), 1u);
  Token(id, 1);
  Take();
  EXPECT_TRUE(events.empty());

  const RecordFound* found = Record(1);
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(found->live);
  EXPECT_EQ(found->rank, 1u);
  EXPECT_EQ(found->stream.spec, "as it came");
  EXPECT_EQ(found->stream.tokens.size(), 2u);
  EXPECT_TRUE(found->stream.tokens[1].scored);

  core.OnResume(2, Attach(1, 2, 1), now);
  Take();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].call, 2u);
  EXPECT_NE(EventOf<DecodeAccepted>(), nullptr);
  EXPECT_EQ(EventOf<GeneratedToken>()->position, 1);
  Token(id, 2, FinishReason::kLength);
  Take();
  EXPECT_EQ(EventOf<GeneratedToken>()->position, 2);
  EXPECT_EQ(EventOf<DecodeFinished>()->reason, FinishReason::kLength);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  EXPECT_EQ(core.jobs(), 0u);
  EXPECT_EQ(core.counters().resumed, 1u);
}

TEST_F(ResumeCore, LingeringIsBoundedInTokensAndTime) {
  const SeqId first = Running(1, 1), second = Running(2, 2);
  core.OnCallBroken(1, now);
  core.OnCallBroken(2, now);
  Take();
  for (int64_t position = 1; position < 4; ++position) Token(first, position);
  Take();
  EXPECT_EQ(core.jobs(), 2u);
  Token(first, 4);  // the buffer of these tests holds four
  Take();
  EXPECT_EQ(EngineCommandOf<CancelCommand>()->id, first);
  EXPECT_EQ(core.jobs(), 1u);
  now += absl::Seconds(5);
  core.OnTick(now);
  Take();
  EXPECT_EQ(EngineCommandOf<CancelCommand>()->id, second);
  EXPECT_EQ(core.jobs(), 0u);
  EXPECT_FALSE(Record(1)->live);
  EXPECT_EQ(Record(1)->stream.tokens.size(), 5u);
}

TEST_F(ResumeCore, WhatIsNotRecordedOrStoppedOrDrainingDoesNotLinger) {
  Running(1, 1, false);
  core.OnCallBroken(1, now);
  Take();
  EXPECT_NE(EngineCommandOf<CancelCommand>(), nullptr);
  EXPECT_EQ(Record(1), nullptr);

  Running(2, 2);
  core.OnCallBroken(2, now);
  Take();
  core.OnStop(3, {{1, 2}, {1, 0}}, now);  // of an attempt before
  Take();
  EXPECT_TRUE(engine.empty());
  core.OnStop(4, {{1, 2}, {1, 1}}, now);
  Take();
  EXPECT_NE(EngineCommandOf<CancelCommand>(), nullptr);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);

  Running(5, 3);
  core.OnDrain(now + absl::Seconds(9));
  core.OnCallBroken(5, now);
  Take();
  EXPECT_NE(EngineCommandOf<CancelCommand>(), nullptr);
  EXPECT_EQ(core.jobs(), 0u);
}

TEST_F(ResumeCore, TheHigherClaimTakesTheSequenceFromAnOpenCall) {
  const SeqId id = Running(1, 1);
  core.OnResume(2, Attach(1, 3, 1), now);
  Take();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].call, 1u);
  EXPECT_EQ(ended[0].status.code(), absl::StatusCode::kAborted);
  core.OnResume(3, Attach(1, 2, 1), now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kAborted);
  Token(id, 1);
  Take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].call, 2u);
  core.OnStop(4, {{1, 1}, {1, 9}}, now);  // the loser's: changes nothing
  Take();
  EXPECT_TRUE(engine.empty());
  EXPECT_EQ(core.open_calls(), 1u);
}

TEST_F(ResumeCore, AReplayEndsWhatLingersOfAnEarlierAttempt) {
  const SeqId id = Running(1, 1);
  core.OnCallBroken(1, now);
  Take();
  DecodeCall again = Decode(1, 1, false);
  again.attempt = {2, 1};
  again.spec.tokens.push_back(5);
  again.record = {.spec = "again", .principal = kOwner};
  core.OnDecode(2, std::move(again), now);
  Take();
  EXPECT_EQ(EngineCommandOf<CancelCommand>()->id, id);
  EXPECT_NE(EngineCommandOf<ServeCommand>(), nullptr);
  const RecordFound* found = Record(1);
  EXPECT_EQ(found->stream.spec, "again");
  ASSERT_EQ(found->stream.tokens.size(), 1u);
  EXPECT_TRUE(found->stream.tokens[0].scored) << "what is known of an agreeing token stays";
}

TEST_F(ResumeCore, AFinishedStreamIsToldFromItsRecord) {
  const SeqId id = Running(1, 1);
  Token(id, 1, FinishReason::kStop);
  Take();
  EXPECT_EQ(Record(1)->stream.finish, FinishReason::kStop);
  core.OnResume(2, Attach(1, 2, 1), now);
  Take();
  EXPECT_EQ(EventOf<GeneratedToken>()->position, 1);
  EXPECT_EQ(EventOf<DecodeFinished>()->reason, FinishReason::kStop);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  EXPECT_EQ(core.open_calls(), 0u);
}

TEST_F(ResumeCore, OnlyItsPrincipalLearnsOfAStream) {
  Running(1, 1);
  EXPECT_EQ(Record(1, {6, 6}), nullptr);
  EXPECT_EQ(EndedWith(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Record(2), nullptr);
  ResumeCall stranger = Attach(1, 2, 0);
  stranger.principal = {6, 6};
  core.OnResume(3, stranger, now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kNotFound);
  EXPECT_EQ(core.open_calls(), 1u);
  core.OnResume(4, Attach(1, 2, 7), now);  // beyond what there is
  Take();
  EXPECT_EQ(ended.back().status.code(), absl::StatusCode::kNotFound);
}

TEST_F(ResumeCore, KeepsTheRecordOfAStreamThatRunsElsewhere) {
  core.OnKeep(1, {{1, 8}, {1, 1}, {.spec = "kept", .principal = kOwner}}, now);
  Take();
  EXPECT_EQ(EndedWith(), absl::StatusCode::kOk);
  const RecordFound* found = Record(8);
  ASSERT_NE(found, nullptr);
  EXPECT_FALSE(found->live);
  EXPECT_EQ(found->stream.spec, "kept");
  now += absl::Minutes(10);
  core.OnTick(now);
  EXPECT_EQ(Record(8), nullptr);
}

struct Book : testing::Test {
  static RecordBookOptions Options() {
    return {.retention = absl::Seconds(10), .max_records = 3, .max_bytes = 1 << 20};
  }
  void Open(uint64_t stream, size_t bytes = 10) {
    book.Open({1, stream}, {1, 1}, {.spec = std::string(bytes, 'x')}, {}, now);
  }
  bool Has(uint64_t stream) const { return book.Find({1, stream}, {}) != nullptr; }

  RecordBook book{Options()};
  MonoTime now = absl::UnixEpoch() + absl::Seconds(100);
};

TEST_F(Book, ForgetsTheOldestAtRestFirst) {
  for (uint64_t i = 0; i < 3; ++i) Open(i), now += absl::Seconds(1);
  book.Rest({1, 1}, now);
  Open(3);
  EXPECT_TRUE(Has(0) && !Has(1) && Has(2) && Has(3));
  Open(4);
  EXPECT_TRUE(!Has(0) && Has(2) && Has(3) && Has(4)) << "none at rest: the oldest";
  EXPECT_EQ(book.size(), 3u);
}

TEST_F(Book, IsBoundedInBytesAndGivesThemBack) {
  Open(1, 600000);
  Open(2, 600000);
  EXPECT_TRUE(!Has(1) && Has(2));
  Open(3, 2 << 20);
  EXPECT_EQ(book.size(), 0u);
  EXPECT_EQ(book.bytes(), 0u);
}

TEST_F(Book, TokensComeInOrderAndRetentionBeginsAtTheEnd) {
  Open(1);
  book.Append({1, 1}, {.position = 1, .token = 7}, true);
  book.Append({1, 1}, {.position = 0, .token = 5, .top = {{5, -1}}}, true);
  book.Append({1, 1}, {.position = 0, .token = 6}, true);
  ASSERT_EQ(book.Find({1, 1}, {})->tokens.size(), 1u);
  now += absl::Seconds(60);
  book.Expire(now);
  EXPECT_TRUE(Has(1)) << "it is open";
  book.Rest({1, 1}, now);
  book.Expire(now + absl::Seconds(9));
  EXPECT_TRUE(Has(1));
  book.Expire(now + absl::Seconds(10));
  EXPECT_FALSE(Has(1));
  EXPECT_EQ(book.bytes(), 0u);
}

TEST_F(Book, AnotherAttemptKeepsTheScoresOfTokensThatAgree) {
  Open(1);
  for (int i = 0; i < 3; ++i) book.Append({1, 1}, {.position = i, .token = i, .logprob = -1}, true);
  const std::vector<TokenId> emitted = {0, 9};
  book.Open({1, 1}, {1, 2}, {.spec = "s"}, emitted, now);
  const RecordedStream* stream = book.Find({1, 1}, {});
  ASSERT_EQ(stream->tokens.size(), 2u);
  EXPECT_TRUE(stream->tokens[0].scored);
  EXPECT_FALSE(stream->tokens[1].scored);
  EXPECT_EQ(stream->tokens[1].token.token, 9);
}

}  // namespace
}  // namespace baton
