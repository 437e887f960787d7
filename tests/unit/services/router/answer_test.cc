#include "services/router/serve/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace baton::router {
namespace {

using ::testing::HasSubstr;

// What reached the client, and how it ended.
class RecordedExchange final : public HttpExchange {
 public:
  void Post(std::function<void()> task) override { task(); }
  void Respond(HttpResponse answer) override { response = std::move(answer); }
  void StartStream(absl::string_view, const HttpHeaders& with) override {
    streaming = true;
    headers = with;
  }
  bool Write(absl::string_view data) override {
    if (full) return false;
    written.append(data.data(), data.size());
    return true;
  }
  void EndStream(bool clean) override { end = clean ? "clean" : "broken"; }
  void OnClosed(std::function<void(HttpClose)>) override {}
  void SetAlarm(MonoTime, std::function<void()>) override {}

  HttpResponse response{.status = 0};
  HttpHeaders headers;
  bool streaming = false;
  bool full = false;
  std::string written;
  std::string end;
};

struct AnswerAt {
  explicit AnswerAt(bool stream, bool token_ids = false) {
    const ApiRequest request{.kind = ApiKind::kCompletion, .stream = stream, .return_token_ids = token_ids};
    answer = std::make_unique<Answer>(
        exchange, AnswerFormat(request.kind, "id", 0, "m", /*logprobs=*/false, /*usage_in_stream=*/false),
        request, 1);
  }
  std::shared_ptr<RecordedExchange> exchange = std::make_shared<RecordedExchange>();
  std::unique_ptr<Answer> answer;
};

TEST(Answer, AFailedStreamSaysSoAndEndsCleanly) {
  AnswerAt at(true);
  EXPECT_TRUE(at.answer->Add(0, {.text = "a"}));
  at.answer->Fail(ErrorForHttpStatus(503, "gone"));
  EXPECT_THAT(at.exchange->written, HasSubstr("gone"));
  EXPECT_EQ(at.exchange->end, "clean");
}

TEST(Answer, AnErrorThatFindsNoRoomBreaksTheStream) {
  AnswerAt at(true);
  EXPECT_TRUE(at.answer->Add(0, {.text = "a"}));
  at.exchange->full = true;
  at.answer->Fail(ErrorForHttpStatus(503, "gone"));
  EXPECT_EQ(at.exchange->end, "broken");
}

TEST(Answer, FailureBeforeAnythingWasSentIsAResponse) {
  for (const bool stream : {true, false}) {
    AnswerAt at(stream);
    at.answer->Fail(ErrorForHttpStatus(503, "gone"));
    EXPECT_EQ(at.exchange->response.status, 503);
    EXPECT_EQ(at.exchange->end, "");
  }
}

TEST(Answer, AbortWritesNoHead) {
  AnswerAt at(false);
  at.answer->Abort();
  EXPECT_FALSE(at.exchange->streaming);
  EXPECT_EQ(at.exchange->response.status, 0);
  EXPECT_EQ(at.exchange->end, "broken");
}

TEST(Answer, AnInexactAnswerSaysSoInItsHeaderAndBody) {
  const HttpHeaders marked = {{"Baton-Inexact", "true"}};
  AnswerAt stream(true);
  stream.answer->MarkInexact();
  EXPECT_TRUE(stream.answer->Add(0, {.text = "a"}));
  EXPECT_EQ(stream.exchange->headers, marked);
  EXPECT_THAT(stream.exchange->written, HasSubstr(R"("inexact":true)"));
  AnswerAt whole(false);
  whole.answer->MarkInexact();
  whole.answer->Complete({});
  EXPECT_EQ(whole.exchange->response.headers, marked);
  EXPECT_THAT(whole.exchange->response.body, HasSubstr(R"("inexact":true)"));
  AnswerAt late(true);
  EXPECT_TRUE(late.answer->Add(0, {.text = "a"}));
  EXPECT_EQ(late.exchange->written.find("inexact"), std::string::npos);
  EXPECT_TRUE(late.exchange->headers.empty());
  late.answer->MarkInexact();
  EXPECT_TRUE(late.answer->Finish(0, {}, "stop"));
  EXPECT_THAT(late.exchange->written, HasSubstr(R"("inexact":true)"));
}

TEST(Answer, WorkersAreNamedToThoseWhoAskForTokenIds) {
  AnswerAt stream(true, true);
  stream.answer->SetWorkers(0, "prefill-0, decode-0");
  EXPECT_TRUE(stream.answer->Add(0, {.text = "a"}));
  const HttpHeaders named = {{"Baton-Workers", "prefill-0, decode-0"}};
  EXPECT_EQ(stream.exchange->headers, named);
  stream.answer->SetWorkers(0, "prefill-0, decode-0");
  stream.answer->SetWorkers(0, "");
  EXPECT_TRUE(stream.answer->Add(0, {.text = "b"}));
  EXPECT_EQ(stream.exchange->written.find("baton-workers"), std::string::npos);
  stream.answer->SetWorkers(0, "decode-1");
  EXPECT_TRUE(stream.answer->Add(0, {.text = "c"}));
  EXPECT_TRUE(stream.answer->Add(0, {.text = "d"}));
  const size_t comment = stream.exchange->written.find(": baton-workers 0 decode-1\n");
  EXPECT_NE(comment, std::string::npos);
  EXPECT_EQ(stream.exchange->written.rfind("baton-workers"), comment + 2) << "once";
  AnswerAt unasked(true);
  unasked.answer->SetWorkers(0, "decode-0");
  EXPECT_TRUE(unasked.answer->Add(0, {.text = "a"}));
  EXPECT_TRUE(unasked.exchange->headers.empty());
}

// The id before each event of what was written; "-" for one without.
std::vector<std::string> EventIds(const std::string& written) {
  std::vector<std::string> ids;
  for (absl::string_view event : absl::StrSplit(written, "\n\n", absl::SkipEmpty())) {
    ids.push_back(absl::ConsumePrefix(&event, "id: ") ? std::string(event.substr(0, event.find('\n'))) : "-");
  }
  return ids;
}

TEST(Answer, EventIdsSayHowFarTheClientHasIt) {
  AnswerAt at(true);
  at.answer->IdentifyEvents({.root = {1, 2}, .choices = std::vector<ChoiceMark>(1)});
  at.answer->SetHolders(0, {7, 8});
  at.answer->Reached(0, 3);
  EXPECT_TRUE(at.answer->Add(0, {.text = "a"}));
  EXPECT_TRUE(at.answer->Finish(0, {.text = "b"}, "stop"));
  at.answer->Complete({});
  const std::vector<std::string> ids = EventIds(at.exchange->written);
  ASSERT_EQ(ids.size(), 3u);
  EXPECT_EQ(ids[2], "-") << "[DONE]";
  using Phase = ChoiceMark::Phase;
  EXPECT_EQ(DecodeEventId(ids[0])->choices[0], (ChoiceMark{Phase::kOpened, 3, {7, 8}}));
  EXPECT_EQ(DecodeEventId(ids[1])->choices[0], (ChoiceMark{Phase::kFinished, 3, {7, 8}}));
}

TEST(Answer, WhatTheClientHasIsNotSentAgain) {
  AnswerAt at(true);
  at.answer->IdentifyEvents({.root = {1, 2}, .choices = {{.phase = ChoiceMark::Phase::kFinished}}});
  EXPECT_TRUE(at.answer->Finish(0, {.text = "b"}, "stop"));
  EXPECT_EQ(at.exchange->written, "");
  at.answer->Complete({});
  EXPECT_TRUE(at.exchange->streaming);
  EXPECT_EQ(at.exchange->written, "data: [DONE]\n\n");
}

}  // namespace
}  // namespace baton::router
