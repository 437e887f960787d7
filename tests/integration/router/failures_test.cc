// Faults of workers and clients: each ends in the right answer, an explicit error or a cancel, never in a
// hang.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/integration/router/router_fixture.h"

namespace baton::router::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kExhausted = 8;  // gRPC's RESOURCE_EXHAUSTED
constexpr int kInvalid = 3;

FakePlan Endless() {
  return {.tokens = {70, 71, 72}, .endless = true, .token_delay = absl::Milliseconds(2)};
}

TEST_F(RouterFixture, NoDecodeWorkerIs503) {
  config_.session.no_worker_timeout = absl::Milliseconds(50);
  StartRouter();
  const TestResponse response = Chat("");
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, HasSubstr("no decode worker is available"));
  EXPECT_EQ(TestClient(port()).Get("/readyz").status, 503);
}

TEST_F(RouterFixture, RefusedStreamsGoElsewhere) {
  FakeWorker& full = AddDecode({.tokens = {1}, .refuse_code = kExhausted});
  FakeWorker& other = AddDecode(Says("ok"));
  StartRouter();
  for (int i = 0; i < 4; ++i) EXPECT_THAT(Chat("").body, HasSubstr(R"("content":"ok")"));
  EXPECT_EQ(other.decodes().size(), 4u);
  EXPECT_GE(full.decodes().size(), 1u);
  uint32_t highest = 0;
  for (const auto& request : other.decodes()) highest = std::max(highest, request.spec().attempt().n());
  EXPECT_EQ(highest, 2u);
}

TEST_F(RouterFixture, AllRefusingIs429AfterAWaitForRoom) {
  FakeWorker& full = AddDecode({.tokens = {1}, .refuse_code = kExhausted});
  config_.session.capacity_timeout = absl::Milliseconds(200);
  StartRouter();
  const TestResponse response = Chat("");
  EXPECT_EQ(response.status, 429);
  EXPECT_THAT(response.headers, HasSubstr("retry-after: "));
  EXPECT_GE(full.decodes().size(), 3u);
}

TEST_F(RouterFixture, RoomThatComesInTimeIsTaken) {
  FakeWorker& full = AddDecode({.tokens = {1}, .refuse_code = kExhausted});
  StartRouter();
  TestClient client(port());
  client.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  EXPECT_TRUE(full.WaitForDecodes(4));
  full.SetPlan(Says("room at last"));
  EXPECT_THAT(client.Receive().body, HasSubstr("room at last"));
}

TEST_F(RouterFixture, InvalidArgumentIsNotTriedAgain) {
  FakeWorker& strict = AddDecode({.tokens = {1}, .refuse_code = kInvalid});
  StartRouter();
  EXPECT_EQ(Chat("").status, 400);
  EXPECT_EQ(strict.decodes().size(), 1u);
}

// Suspect from its first failure on: decode computes the prompt.
TEST_F(RouterFixture, WhatAPrefillWorkerBreaksDecodeComputes) {
  FakePlan broken = Says("whole");
  broken.break_after = 0;
  FakePlan waits = Says("whole");
  waits.hang_after = 0;
  FakeWorker& decode = AddDecode(waits);
  FakeWorker& bad = AddPrefill(broken);
  config_.registry.placement.direct_below_tokens = 1;
  config_.session.retry_backoff = absl::Seconds(1);
  config_.registry.table.health.min_pause = absl::Minutes(1);
  StartRouter();
  TestClient client(port());
  client.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  EXPECT_TRUE(decode.WaitForCancelled(1));
  decode.SetPlan(Says("whole"));
  EXPECT_THAT(client.Receive().body, HasSubstr(R"("content":"whole")"));
  EXPECT_EQ(bad.prefills().size(), 1u);
  EXPECT_FALSE(decode.decodes().back().has_source());
}

TEST_F(RouterFixture, WhatADecodeWorkerBreaksAnotherGoesOnWith) {
  FakePlan dies = Says("one two three");
  dies.break_after = 1;
  FakeWorker& bad = AddDecode(dies);
  FakeWorker& good = AddDecode(Says("one two three"));
  StartRouter();
  for (int i = 0; i < 2; ++i) EXPECT_THAT(Chat("").body, HasSubstr(R"("content":"one two three")"));
  ASSERT_EQ(bad.decodes().size(), 1u);
  const auto replayed = good.decodes();
  const auto from_second = [](const auto& request) {
    return request.spec().tokens_size() == static_cast<int>(request.spec().prompt_tokens()) + 1;
  };
  EXPECT_EQ(std::count_if(replayed.begin(), replayed.end(), from_second), 1) << "with the token that was out";
}

TEST_F(RouterFixture, ARequestThatBreaksEveryWorkerIsAnErrorEvent) {
  FakePlan plan = Says("one two three");
  plan.break_after = 1;
  AddDecode(plan);
  StartRouter();
  const TestResponse response = Chat(R"(,"stream":true)");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, AllOf(HasSubstr(R"(data: {"error":{"message":)"), Not(HasSubstr("[DONE]"))));
  EXPECT_EQ(Chat("").status, 503);
}

TEST_F(RouterFixture, DisagreeingWorkersAreAnError) {
  AddDecode(Endless());
  AddPrefill({.tokens = {70, 71}, .prefill_token = 99});
  config_.registry.placement.direct_below_tokens = 1;
  StartRouter();
  const TestResponse response = Chat("");
  EXPECT_EQ(response.status, 500);
  EXPECT_THAT(response.body, HasSubstr("disagree"));
}

TEST_F(RouterFixture, SilentDecodeWorkerTimesOut) {
  AddDecode({.tokens = {1}, .accept = false});
  config_.session.accept_timeout = absl::Milliseconds(50);
  StartRouter();
  EXPECT_EQ(Chat("").status, 503);
}

TEST_F(RouterFixture, DeadlineIs504) {
  AddDecode({.tokens = {70}, .hang_after = 0});
  config_.request_timeout = absl::Milliseconds(200);
  StartRouter();
  EXPECT_EQ(Chat("").status, 504);
  EXPECT_TRUE(workers_[0]->WaitForIdle());
}

TEST_F(RouterFixture, DisconnectWhileStreamingCancels) {
  FakeWorker& decode = AddDecode(Endless());
  StartRouter();
  {
    TestClient client(port());
    client.Send(PostBytes("/v1/chat/completions",
                          absl::StrCat(kChatBody, R"(,"stream":true,"max_completion_tokens":4000})")));
    EXPECT_TRUE(client.ReceiveUntil("data: "));
  }
  EXPECT_TRUE(decode.WaitForCancelled(1));
  EXPECT_TRUE(WaitForNoRequests());
}

TEST_F(RouterFixture, DisconnectWhileWaitingCancelsBothSides) {
  FakeWorker& decode = AddDecode({.tokens = {70}, .hang_after = 0});
  FakeWorker& prefill = AddPrefill({.tokens = {70}, .accept = false});
  config_.registry.placement.direct_below_tokens = 1;
  StartRouter();
  {
    TestClient client(port());
    client.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
    EXPECT_TRUE(Eventually([&] { return prefill.open_calls() == 1; }));
  }
  EXPECT_TRUE(decode.WaitForCancelled(1));
  EXPECT_TRUE(prefill.WaitForCancelled(1));
  EXPECT_TRUE(WaitForNoRequests());
}

TEST_F(RouterFixture, DisconnectBehindAFullReadAheadCancels) {
  FakeWorker& decode = AddDecode({.tokens = {70}, .hang_after = 0});
  config_.http.max_read_ahead_bytes = 4096;
  StartRouter();
  TestClient client(port());
  client.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  EXPECT_TRUE(decode.WaitForDecodes(1));
  client.Send(std::string(8192, 'x'));
  client.Close();
  EXPECT_TRUE(decode.WaitForCancelled(1));
  EXPECT_TRUE(WaitForNoRequests());
}

TEST_F(RouterFixture, SlowReaderIsCutOff) {
  FakePlan flood = Endless();
  flood.token_delay = absl::ZeroDuration();
  FakeWorker& decode = AddDecode(flood);
  config_.http.max_send_buffer_bytes = 64 << 10;
  StartRouter();
  TestClient client(port(), 4096);
  client.Send(PostBytes("/v1/chat/completions",
                        absl::StrCat(kChatBody, R"(,"stream":true,"n":16,"max_completion_tokens":4000,)",
                                     R"("logprobs":true,"top_logprobs":1})")));
  EXPECT_TRUE(decode.WaitForCancelled(1));
  EXPECT_TRUE(WaitForNoRequests());
  EXPECT_THAT(TestClient(port()).Get("/metrics").body, HasSubstr("baton_router_slow_readers_total 1"));
}

TEST_F(RouterFixture, RestartedWorkerServesAgain) {
  AddDecode(Says("first"));
  config_.session.no_worker_timeout = absl::Seconds(20);
  StartRouter();
  EXPECT_EQ(Chat("").status, 200);
  const int port_of_it = workers_[0]->port();
  workers_.clear();
  EXPECT_TRUE(Eventually([&] { return !router_->CanDecode(); }));
  TestClient waiting(port());
  waiting.Send(PostBytes("/v1/chat/completions", absl::StrCat(kChatBody, "}")));
  EXPECT_TRUE(Eventually([&] { return router_->open_requests() == 1; }));
  workers_.push_back(
      std::make_unique<FakeWorker>("again", v1::ROLE_DECODE, Says("second"), "fp-test", port_of_it));
  EXPECT_THAT(waiting.Receive().body, HasSubstr("second")) << "what came meanwhile has waited";
  EXPECT_THAT(Chat("").body, HasSubstr("second"));
}

TEST_F(RouterFixture, DrainingWorkersGetNothingNew) {
  FakeWorker& leaving = AddDecode(Says("leaving"));
  AddDecode(Says("staying"));
  leaving.SetDraining(true);
  StartRouter();
  EXPECT_TRUE(Eventually([&] {
    return TestClient(port()).Get("/baton/status").body.find("\"draining\":true") != std::string::npos;
  }));
  for (int i = 0; i < 4; ++i) EXPECT_THAT(Chat("").body, HasSubstr("staying"));
}

}  // namespace
}  // namespace baton::router::testing
