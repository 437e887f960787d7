#include "tools/chaos/run_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tools/chaos/bad_streams.h"
#include "tools/chaos/fault_gaps.h"

namespace baton::chaos {
namespace {

using ::testing::HasSubstr;

StreamRecord Stream(size_t index, std::vector<int32_t> tokens, const std::string& reason = "length",
                    const std::string& error = "") {
  StreamRecord stream;
  stream.index = index;
  stream.id = "cmpl-" + std::to_string(index);
  stream.tokens = std::move(tokens);
  stream.finish_reason = reason;
  stream.error = error;
  stream.ended_s = 1;
  return stream;
}

class RunChecksTest : public ::testing::Test {
 protected:
  RunChecksTest() {
    evidence_.streams = {Stream(0, {1, 2, 3}), Stream(1, {4, 5, 6})};
    evidence_.before.pages =
        evidence_.after.pages = {{"decode-0", 0, {{"free", 60}, {"cached", 4}, {"used", 0}}}};
    evidence_.before.metrics["decode-0"] = evidence_.after.metrics["decode-0"] = {};
    evidence_.after.router_status = R"({"workers":[{"healthy":true}]})";
    reference_ = evidence_.streams;
  }
  CheckResult Of(const std::string& name) {
    for (const CheckResult& result : CheckRun(spec_, evidence_, reference_)) {
      if (result.name.find(name) != std::string::npos) return result;
    }
    ADD_FAILURE() << "no check " << name;
    return {};
  }
  CheckSpec spec_;
  Evidence evidence_;
  std::vector<StreamRecord> reference_;
};

TEST_F(RunChecksTest, AnUndisturbedRunIsGreen) {
  for (const CheckResult& result : CheckRun(spec_, evidence_, reference_))
    EXPECT_TRUE(result.ok) << result.name << result.detail;
}

TEST_F(RunChecksTest, AHungStreamIsSeen) {
  evidence_.streams[1] = Stream(1, {4}, "");
  evidence_.streams[1].ended_s.reset();
  EXPECT_FALSE(Of("every stream ends").ok);
  EXPECT_THAT(Of("every stream ends").detail, HasSubstr("1 of 2; first: request 1 (cmpl-1), 1 tokens"));
}

TEST_F(RunChecksTest, AStreamThatEndsWithoutAWordIsSeen) {
  evidence_.streams[1] = Stream(1, {4}, "");
  EXPECT_THAT(Of("every stream ends").detail, HasSubstr("ended without a reason"));
}

TEST_F(RunChecksTest, ErrorsAreCounted) {
  evidence_.streams[1] = Stream(1, {4}, "", "mid_stream: gone");
  EXPECT_TRUE(Of("every stream ends").ok) << "an explicit error is an end";
  EXPECT_TRUE(Of("tokens equal").ok) << "what came is a prefix of the oracle's";
  EXPECT_FALSE(Of("end in an error").ok);
  EXPECT_THAT(Of("end in an error").detail, HasSubstr("1 of 2; first: request 1 at 1.0 s: mid_stream: gone"));
  spec_.errors_at_most = 1;
  EXPECT_TRUE(Of("end in an error").ok);
}

TEST_F(RunChecksTest, RefusalsCountAsErrorsUnlessToldOtherwise) {
  evidence_.streams[1] = Stream(1, {}, "", "429: HTTP 429: come again");
  EXPECT_FALSE(Of("end in an error").ok);
  spec_.refusals_are_errors = false;
  EXPECT_TRUE(Of("end in an error").ok);
  EXPECT_THAT(Of("end in an error").detail, HasSubstr("0 of 2; 1 refused"));
  evidence_.streams[1] = Stream(1, {}, "", "503: HTTP 503: no worker");
  EXPECT_FALSE(Of("end in an error").ok);
}

TEST_F(RunChecksTest, EveryKindOfWrongTokenIsSeen) {
  for (const std::vector<int32_t>& wrong :
       std::vector<std::vector<int32_t>>{{4, 9, 6}, {4, 6}, {4, 4, 5, 6}, {4, 5}, {4, 5, 6, 7}, {}}) {
    evidence_.streams[1] = Stream(1, wrong);
    EXPECT_FALSE(Of("tokens equal").ok) << testing::PrintToString(wrong);
  }
  evidence_.streams[1] = Stream(1, {4, 9, 6});
  EXPECT_THAT(Of("tokens equal").detail,
              HasSubstr("1 of 2; first: request 1 (cmpl-1) at token 1: 9, the oracle 5"));
  evidence_.streams[1] = Stream(7, {4});
  EXPECT_THAT(Of("tokens equal").detail, HasSubstr("knows no such request"));
}

TEST_F(RunChecksTest, NothingToCompareIsNoSuccess) {
  evidence_.streams.clear();
  EXPECT_FALSE(Of("tokens equal").ok);
  EXPECT_FALSE(Of("every stream ends").ok);
}

TEST_F(RunChecksTest, LeaksAndLostPagesAreSeen) {
  evidence_.after.pages[0].classes["used"] = 3;
  EXPECT_THAT(Of("no page leaks").detail, HasSubstr("decode-0/0 has 3 pages used"));
  evidence_.after.pages[0].classes = {{"free", 60}};
  EXPECT_THAT(Of("no page leaks").detail, HasSubstr("had 64 pages, has 60"));
  EXPECT_FALSE(Of("no page leaks").ok);
  evidence_.after.silent = {"decode-0"};
  EXPECT_FALSE(Of("no page leaks").ok);
}

TEST_F(RunChecksTest, AFaultThatWasNotCarriedOutIsSeen) {
  FaultMark mark;
  mark.failed = "no root";
  evidence_.faults = {mark};
  EXPECT_THAT(Of("every fault").detail, HasSubstr("no root"));
}

TEST_F(RunChecksTest, BoundsOnFigures) {
  evidence_.figures["ttft_ms.p90"] = 500;
  spec_.bounds = {{"ttft_ms.p90", std::nullopt, 400}};
  EXPECT_FALSE(Of("ttft_ms.p90 <= 400").ok);
  spec_.bounds = {{"ttft_ms.p90", 400, 600}};
  EXPECT_TRUE(Of("ttft_ms.p90 >= 400 <= 600").ok);
  spec_.bounds = {{"itl_ms.p99", std::nullopt, 4}};
  EXPECT_FALSE(Of("itl_ms.p99").ok) << "a figure that is not there is no success";
}

TEST_F(RunChecksTest, BadStreamsAreKeptWithWhatHelps) {
  EXPECT_EQ(BadStreams(evidence_, reference_), "");
  evidence_.streams[0].error = "mid_stream: gone";
  evidence_.streams[0].finish_reason.clear();
  evidence_.streams[1] = Stream(1, {4, 9, 6});
  FaultMark mark;
  mark.fault = {.kind = FaultKind::kKill, .target = "decode-1"};
  mark.began_s = 5.5;
  evidence_.faults = {mark, mark};
  evidence_.faults[1].fault.target = "decode-0";
  evidence_.faults[1].began_s = 6.5;
  evidence_.streams[1].workers = {"prefill-0, decode-1", "decode-0"};
  evidence_.streams[1].request = R"({"prompt":"it's"})";
  evidence_.streams[1].path = "/v1/completions";
  const std::string text = BadStreams(evidence_, reference_);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_THAT(text.substr(0, text.find('\n')), HasSubstr("\"first_difference\":1"))
      << "wrong tokens come first";
  EXPECT_THAT(text, HasSubstr("\"reference\":[4,5,6]"));
  EXPECT_THAT(text, HasSubstr("kill -9 decode-1"));
  EXPECT_THAT(text, testing::Not(HasSubstr("kill -9 decode-0"))) << "over 5 s later";
  EXPECT_THAT(text, HasSubstr("mid_stream: gone"));
  EXPECT_THAT(text, HasSubstr(R"("workers":["prefill-0, decode-1","decode-0"])"));
  EXPECT_THAT(text, HasSubstr(R"(--data-binary '{\"prompt\":\"it'\\''s\"}' )"
                              R"(\"${BATON_URL:-http://127.0.0.1:8000}/v1/completions\")"));
}

TEST_F(RunChecksTest, WhatTheProcessesSayIsAskedToo) {
  EXPECT_TRUE(Of("pages add up").ok);
  evidence_.during = {evidence_.before};
  evidence_.during[0].pages[0].classes["free"] = 59;
  EXPECT_FALSE(Of("pages add up").ok);
  evidence_.after.metrics["decode-0"]["baton_sequences_owed"] = 1;
  EXPECT_FALSE(Of("nothing is left open").ok);
  EXPECT_THAT(Of("no page leaks").detail, HasSubstr("1 baton_sequences_owed"));
  spec_.memory_growth_mb = 10;
  spec_.handoffs_held = 0.5;
  EXPECT_FALSE(Of("memory grows").ok);
  EXPECT_FALSE(Of("at least 50% of the handoffs").ok);
}

class FaultGapsTest : public RunChecksTest {
 protected:
  FaultGapsTest() {
    FaultMark mark;
    mark.began_s = 10;
    mark.ended_s = 12;
    evidence_.faults = {mark};
    evidence_.streams[0].token_s = {8, 9, 13, 14};
    evidence_.streams[1].sent_s = 1;
    evidence_.streams[1].token_s = {6, 6.5, 7};
  }
};

TEST_F(FaultGapsTest, AreOfStreamsThatRanThen) {
  EXPECT_THAT(GapsAtFaults(evidence_), testing::ElementsAre(4));
  evidence_.streams[1].token_s = {6, 6.5, 16.5, 30, 90};
  EXPECT_THAT(GapsAtFaults(evidence_), testing::ElementsAre(4, 13.5)) << "until 5 s after its end";
  evidence_.faults[0].failed = "no root";
  EXPECT_THAT(GapsAtFaults(evidence_), testing::IsEmpty());
}

TEST_F(FaultGapsTest, TheWaitForTheFirstTokenIsOne) {
  evidence_.streams[0].sent_s = 9.5;
  evidence_.streams[0].token_s = {15};
  EXPECT_THAT(GapsAtFaults(evidence_), testing::ElementsAre(5.5));
}

TEST_F(FaultGapsTest, AreBounded) {
  spec_.gap_at_faults = absl::Seconds(5);
  EXPECT_TRUE(Of("no stream waits longer than 5s").ok);
  spec_.gap_at_faults = absl::Seconds(3);
  EXPECT_FALSE(Of("no stream waits longer than 3s").ok);
  EXPECT_EQ(Of("no stream waits").detail, "longest of 1 streams: 4.00 s");
  evidence_.streams.clear();
  EXPECT_FALSE(Of("no stream waits").ok) << "nobody there to wait is no success";
}

class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest() {
    evidence_.bin_s = 1;
    FaultMark mark;
    mark.began_s = 5;
    mark.ended_s = 7;
    evidence_.faults = {mark};
  }
  std::optional<double> Time(std::vector<std::optional<double>> series) {
    evidence_.series[recovery_.series] = std::move(series);
    return RecoveryTime(recovery_, evidence_);
  }
  Recovery recovery_{absl::Seconds(5)};
  Evidence evidence_;
};

TEST_F(RecoveryTest, CountsFromTheLastFaultsEnd) {
  EXPECT_EQ(Time({10, 10, 10, 10, 10, 0, 0, 2, 2, 9, 9, 9}), 2);
  EXPECT_EQ(Time({10, 10, 10, 10, 10, 9, 9, 9, 9, 9}), 0);
}

TEST_F(RecoveryTest, NeverBack) {
  EXPECT_EQ(Time({10, 10, 10, 10, 10, 0, 0, 2, 2, 2, 2}), std::nullopt);
  EXPECT_EQ(Time({}), std::nullopt);
  EXPECT_EQ(Time({10, 10, 10, 10, 10, 0, 0, std::nullopt, std::nullopt, 9}), std::nullopt) << "not for 2 s";
}

TEST_F(RecoveryTest, WithoutFaultsThereIsNothingToRecoverFrom) {
  evidence_.faults.clear();
  EXPECT_EQ(Time({1}), 0);
}

}  // namespace
}  // namespace baton::chaos
