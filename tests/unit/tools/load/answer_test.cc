#include "tools/load/answer.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace baton::load {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const MonoTime kNow = absl::UnixEpoch() + absl::Seconds(100);

constexpr char kHead[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr char kToken[] =
    R"({"id":"c1","choices":[{"index":0,"delta":{"content":" a"},"finish_reason":null}]})";
constexpr char kLast[] =
    R"({"id":"c1","choices":[{"index":0,"delta":{"content":" b"},"finish_reason":"length","token_ids":[7]}],"usage":null})";
constexpr char kUsage[] = R"({"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":3}})";

std::string Chunk(const std::string& data) {
  return absl::StrCat(absl::Hex(data.size()), "\r\n", data, "\r\n");
}
std::string Event(const std::string& json) {
  return absl::StrCat("data: ", json, "\n\n");
}
std::string WholeAnswer() {
  return absl::StrCat(kHead, Chunk(": hello\n\n"), Chunk(Event(kToken) + "id: 5\n" + Event(kToken)),
                      Chunk(Event(kLast)), Chunk(Event(kUsage)), Chunk("data: [DONE]\n\n"), "0\r\n\r\n");
}

Answer Fresh(const PlannedRequest& request) {
  Answer answer(request, 3, kNow, true);
  answer.Sent(kNow);
  return answer;
}

TEST(Answer, IsTheSameInWhateverPiecesItComes) {
  PlannedRequest request;
  request.max_tokens = 3;
  request.ignore_eos = true;
  const std::string bytes = WholeAnswer();
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    Answer answer = Fresh(request);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      answer.Add(absl::string_view(bytes).substr(at, piece), kNow + absl::Milliseconds(at));
    }
    const StreamRecord& record = answer.record();
    ASSERT_EQ(record.outcome, Outcome::kCompleted) << piece << ": " << record.error;
    EXPECT_EQ(record.arrivals.size(), 3u);
    EXPECT_EQ(record.output_tokens, 3);
    EXPECT_EQ(record.input_tokens, 11);
    EXPECT_EQ(record.text, " a a b");
    EXPECT_EQ(record.response_id, "c1");
    EXPECT_EQ(record.finish_reason, "length");
    EXPECT_THAT(record.token_ids, ElementsAre(7));
  }
}

TEST(Answer, ByLengthAndUntilTheClose) {
  const PlannedRequest request;
  const std::string body = Event(kToken) + Event(kLast);
  Answer by_length = Fresh(request);
  by_length.Add(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body, "junk"),
                kNow);
  EXPECT_EQ(by_length.record().outcome, Outcome::kCompleted);
  EXPECT_EQ(by_length.record().output_tokens, 2);
  Answer until_close = Fresh(request);
  until_close.Add(absl::StrCat("HTTP/1.1 200 OK\r\n\r\n", body), kNow);
  EXPECT_FALSE(until_close.ended());
  until_close.Closed(kNow);
  EXPECT_EQ(until_close.record().outcome, Outcome::kCompleted);
}

TEST(Answer, MisbehaviourHasKinds) {
  struct Case {
    std::string bytes;
    bool closed;
    Outcome outcome;
    const char* error;
  };
  const std::string open = absl::StrCat(kHead, Chunk(Event(kToken)));
  const Case cases[] = {
      {"SSH-2.0-OpenSSH_9.2\r\n", false, Outcome::kMidStream, "no HTTP"},
      {"HTTP/1.1 banana\r\n\r\n", false, Outcome::kMidStream, "first line"},
      {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false, Outcome::kMidStream, "length"},
      {std::string(kHead) + "zz\r\n", false, Outcome::kMidStream, "chunk"},
      {std::string(kHead) + "3\r\nabcd\r\n", false, Outcome::kMidStream, "chunk"},
      {std::string(kHead) + std::string(70000, 'f'), false, Outcome::kMidStream, "without an end"},
      {"HTTP/1.1 200 OK\r\nA: " + std::string(70000, 'f'), false, Outcome::kMidStream, "head"},
      {open + Chunk("data: {\"oops\n"), false, Outcome::kMidStream, "no JSON object"},
      {open + Chunk(Event("[1]")), false, Outcome::kMidStream, "no JSON object"},
      {open + Chunk(Event(R"({"error":{"message":"worker lost","code":500}})")), false, Outcome::kMidStream,
       "worker lost"},
      {open + Chunk(std::string(2 << 20, 'x')), false, Outcome::kMidStream, "1 MB"},
      {open, true, Outcome::kDisconnect, "closed before"},
      {"", true, Outcome::kDisconnect, "closed before"},
      {open + "0\r\n\r\n", false, Outcome::kShort, "finish reason"},
      {open + Chunk("data: [DONE]\n\n"), false, Outcome::kShort, "finish reason"},
      {"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 31\r\n\r\n{\"error\":{\"message\":\"not now\"}} ",
       false, Outcome::kHttpStatus, "HTTP 429: not now"},
      {"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>\nbad</html>", true, Outcome::kHttpStatus,
       "HTTP 502: <html> bad</html>"},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, Outcome::kHttpStatus, "HTTP 204"},
  };
  for (const Case& one : cases) {
    const PlannedRequest request;
    Answer answer = Fresh(request);
    answer.Add(one.bytes, kNow);
    if (one.closed) answer.Closed(kNow);
    EXPECT_EQ(answer.record().outcome, one.outcome) << one.bytes.substr(0, 300);
    EXPECT_THAT(answer.record().error, HasSubstr(one.error));
    EXPECT_TRUE(answer.ended());
  }
}

TEST(Answer, AnEarlyStopIsShortWhereEosIsIgnored) {
  PlannedRequest request;
  request.max_tokens = 5;
  const std::string stop = R"({"choices":[{"text":" a","finish_reason":"stop"}]})";
  const std::string bytes = absl::StrCat(kHead, Chunk(Event(stop)), Chunk(Event("[DONE]")));
  Answer free = Fresh(request);
  free.Add(bytes, kNow);
  EXPECT_EQ(free.record().outcome, Outcome::kCompleted);
  request.ignore_eos = true;
  Answer held = Fresh(request);
  held.Add(bytes, kNow);
  EXPECT_EQ(held.record().outcome, Outcome::kShort);
  EXPECT_THAT(held.record().error, HasSubstr("1 of 5"));
}

TEST(Answer, TheClientHangsUpAfterSoManyTokens) {
  PlannedRequest request;
  request.cancel_after = 2;
  Answer answer = Fresh(request);
  EXPECT_FALSE(answer.Add(absl::StrCat(kHead, Chunk(Event(kToken))), kNow).ended);
  const Answer::Step step = answer.Add(Chunk(Event(kToken)), kNow + absl::Seconds(1));
  EXPECT_TRUE(step.ended);
  EXPECT_EQ(step.tokens, 1);
  EXPECT_EQ(answer.record().outcome, Outcome::kCancelled);
  EXPECT_EQ(answer.record().output_tokens, 2);
  EXPECT_EQ(ErrorKind(answer.record()), "");
}

TEST(Answer, WhatComesWithTheLastWantedTokenIsNotTaken) {
  PlannedRequest request;
  request.cancel_after = 2;
  Answer answer = Fresh(request);
  const std::string token = Chunk(Event(kToken));
  EXPECT_EQ(answer.Add(absl::StrCat(kHead, token, token, token), kNow).tokens, 2);
  EXPECT_EQ(answer.record().outcome, Outcome::kCancelled);
  EXPECT_EQ(answer.record().arrivals.size(), 2u);
}

TEST(Answer, KnowsTheWorkersThatTheServerNames) {
  const PlannedRequest request;
  Answer answer = Fresh(request);
  const std::string head = "HTTP/1.1 200 OK\r\nbaton-workers: prefill-0, decode-1\r\n";
  answer.Add(absl::StrCat(head, "Transfer-Encoding: chunked\r\n\r\n", Chunk(Event(kToken)),
                          Chunk(": ping\n\n: baton-workers 0 decode-2\nid: 7\n" + Event(kToken))),
             kNow);
  EXPECT_THAT(answer.record().workers, ElementsAre("prefill-0, decode-1", "decode-2"));
  EXPECT_EQ(answer.record().arrivals.size(), 2u);
}

TEST(Answer, TheFirstEndStays) {
  const PlannedRequest request;
  Answer answer = Fresh(request);
  answer.End(Outcome::kTimeout, "late", kNow);
  answer.Add(WholeAnswer(), kNow);
  answer.Closed(kNow);
  EXPECT_EQ(answer.record().outcome, Outcome::kTimeout);
  EXPECT_TRUE(answer.record().arrivals.empty());
}

TEST(OpenAiEvent, TokensAreIdsOrText) {
  const std::pair<const char*, int> cases[] = {
      {R"({"choices":[{"text":"x"}]})", 1},
      {R"({"choices":[{"text":""}]})", 0},
      {R"({"choices":[{"text":"","token_ids":[1,2]}]})", 2},
      {R"({"choices":[{"delta":{"role":"assistant","content":""}}]})", 0},
      {R"({"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]})", 1},
      {R"({"choices":[{"delta":{}}]})", 0},
      {R"({"choices":[]})", 0},
      {R"({"choices":[5]})", 0},
  };
  for (const auto& [json, tokens] : cases) {
    const auto event = ParseOpenAiEvent(json);
    ASSERT_TRUE(event.ok()) << json;
    EXPECT_EQ(event->Tokens(), tokens) << json;
  }
}

TEST(OpenAiEvent, FirstModelOfAList) {
  EXPECT_EQ(*FirstModel(R"({"data":[{"id":"m1"},{"id":"m2"}]})"), "m1");
  for (const char* body : {"", "[]", R"({"data":[]})", R"({"data":[{"id":3}]})"}) {
    EXPECT_EQ(FirstModel(body).status().code(), absl::StatusCode::kNotFound) << body;
  }
}

}  // namespace
}  // namespace baton::load
