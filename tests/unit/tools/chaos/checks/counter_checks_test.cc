#include "tools/chaos/checks/counter_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::chaos {
namespace {

constexpr char kGenerated[] = "baton_generated_tokens_total{rank=\"0\"}";
constexpr char kFailures[] = "baton_handoff_checksum_failures_total";

std::vector<StreamRecord> References(size_t streams, size_t tokens) {
  std::vector<StreamRecord> reference(streams);
  for (size_t i = 0; i < streams; ++i) {
    reference[i].index = i;
    reference[i].tokens.assign(tokens, 7);
  }
  return reference;
}

// Four streams of 600 tokens, two of which were cancelled after four; the workers generated `generated`.
Evidence Cancelled(double generated) {
  Evidence evidence;
  for (size_t i = 0; i < 4; ++i) {
    StreamRecord stream;
    stream.index = i;
    stream.cancelled = i < 2;
    stream.tokens.assign(stream.cancelled ? 4 : 600, 7);
    evidence.streams.push_back(stream);
  }
  evidence.before.metrics = {{"prefill-0", {{kGenerated, 100}}}, {"decode-0", {{kGenerated, 900}}}};
  evidence.after.metrics = {{"prefill-0", {{kGenerated, 104}}},
                            {"decode-0", {{kGenerated, 900 + generated - 4}}}};
  evidence.processes = {{.name = "prefill-0", .role = "prefill"}, {.name = "decode-0", .role = "decode"}};
  return evidence;
}

TEST(CancelsStopWork, FewTokensThatWereUnderWayAreNoMatter) {
  const CheckResult result = CancelsStopWork(Cancelled(1208 + 60), References(4, 600));
  EXPECT_TRUE(result.ok) << result.detail;
  EXPECT_THAT(result.detail, testing::HasSubstr("56 tokens were generated for nobody, of 1192"));
}

TEST(CancelsStopWork, WholeAnswersForNobodyAreALostCancel) {
  EXPECT_FALSE(CancelsStopWork(Cancelled(2400), References(4, 600)).ok);
}

TEST(CancelsStopWork, ShortAnswersTellNothing) {
  const CheckResult result = CancelsStopWork(Cancelled(2400), References(4, 50));
  EXPECT_TRUE(result.ok);
  EXPECT_EQ(result.detail, "nothing to tell");
}

TEST(NoChecksumFails, CountsOnlyThoseOfTheRun) {
  Evidence evidence = Cancelled(1208);
  evidence.before.metrics["decode-0"][kFailures] = 3;
  evidence.after.metrics["decode-0"][kFailures] = 3;
  EXPECT_TRUE(NoChecksumFails(evidence).ok);
  evidence.after.metrics["decode-0"][kFailures] = 4;
  EXPECT_FALSE(NoChecksumFails(evidence).ok);
}

TEST(CheckCounters, SaysNothingOnceAProcessHasDied) {
  Evidence evidence = Cancelled(2400);
  EXPECT_EQ(CheckCounters(evidence, References(4, 600)).size(), 2u);
  EXPECT_EQ(CheckCounters(evidence, {}).size(), 1u);
  evidence.faults.emplace_back();
  EXPECT_EQ(CheckCounters(evidence, References(4, 600)).size(), 1u);
  evidence.processes[1].restarts = 1;
  EXPECT_TRUE(CheckCounters(evidence, References(4, 600)).empty());
}

}  // namespace
}  // namespace baton::chaos
