#include "engine/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/keyed_random.h"

namespace baton {
namespace {

constexpr RunningView kDecode{.remaining = 1, .missing_pages = 0, .own_pages = 2};
constexpr RunningView kFullDecode{.remaining = 1, .missing_pages = 1, .own_pages = 2};

std::string Describe(const Batch& batch) {
  std::string text;
  for (const BatchItem& item : batch.items) {
    text +=
        (item.admitted ? "w" : "r") + std::to_string(item.index) + ":" + std::to_string(item.tokens) + " ";
  }
  for (size_t index : batch.preempted) text += "-" + std::to_string(index) + " ";
  return text + (batch.stalled ? "stalled" : "");
}

Batch Plan(const SchedulerOptions& options, const std::vector<RunningView>& running,
           const std::vector<AdmissionCost>& waiting, int64_t available) {
  return Scheduler(options).Plan(running, waiting.size(), available, [&](size_t i) { return waiting[i]; });
}

TEST(SchedulerTest, DecodesThenPromptsThenAdmissionsWithinTheBudget) {
  const std::vector<RunningView> running = {{.remaining = 50}, kDecode, {.remaining = 8}, kDecode};
  const std::vector<AdmissionCost> waiting = {{.pages = 1, .remaining = 12}, {.pages = 1, .remaining = 12}};
  EXPECT_EQ(Describe(Plan({.token_budget = 40, .prefill_chunk = 20}, running, waiting, 100)),
            "r1:1 r3:1 r0:20 r2:8 w0:10 ");
}

TEST(SchedulerTest, ServesAtMostMaxRunning) {
  const std::vector<RunningView> running(3, kDecode);
  const std::vector<AdmissionCost> waiting(3, {.pages = 1, .remaining = 5});
  EXPECT_EQ(Describe(Plan({.max_running = 2}, running, waiting, 100)), "r0:1 r1:1 ");
  EXPECT_EQ(Describe(Plan({.max_running = 5}, running, waiting, 100)), "r0:1 r1:1 r2:1 w0:5 w1:5 ");
}

TEST(SchedulerTest, AdmitsStrictlyInOrderAndLeavesRoomToGrow) {
  const std::vector<AdmissionCost> waiting = {{.pages = 4, .remaining = 60}, {.pages = 1, .remaining = 5}};
  EXPECT_EQ(Describe(Plan({}, {}, waiting, 3)), "");  // the second does not overtake
  EXPECT_EQ(Describe(Plan({}, {}, waiting, 4)), "w0:60 ");
  EXPECT_EQ(Describe(Plan({}, {}, waiting, 5)), "w0:60 ");
  EXPECT_EQ(Describe(Plan({}, {}, waiting, 6)), "w0:60 w1:5 ");
  EXPECT_EQ(Describe(Plan({}, {kDecode}, waiting, 4)), "r0:1 ");
  const std::vector<AdmissionCost> prompts = {{.pages = 4, .remaining = 60, .grows = false},
                                              {.pages = 1, .remaining = 5, .grows = false}};
  EXPECT_EQ(Describe(Plan({}, {}, prompts, 5)), "w0:60 w1:5 ");
}

TEST(SchedulerTest, PreemptsTheLowestRankedForADecode) {
  const std::vector<RunningView> running = {kFullDecode, kDecode, {.remaining = 30, .own_pages = 3}};
  const std::vector<AdmissionCost> waiting = {{.pages = 1, .remaining = 5}};
  EXPECT_EQ(Describe(Plan({}, running, waiting, 0)), "r0:1 r1:1 -2 ");
  EXPECT_EQ(Describe(Plan({}, running, waiting, 1)), "r0:1 r1:1 r2:30 ");
}

TEST(SchedulerTest, ADecodeGivesWayItselfWhenItIsLowest) {
  EXPECT_EQ(Describe(Plan({}, {kDecode, kFullDecode}, {}, 0)), "r0:1 -1 ");
}

TEST(SchedulerTest, PreemptsAsManyAsItTakes) {
  const RunningView shared{.remaining = 1, .missing_pages = 0, .own_pages = 0};
  EXPECT_EQ(Describe(Plan({}, {kFullDecode, kDecode, shared}, {}, 0)), "r0:1 -2 -1 ");
}

TEST(SchedulerTest, NeverPreemptsAPromptForReaders) {
  const RunningView prompt{.remaining = 30, .own_pages = 3, .preemptable = false};
  const Batch batch = Plan({}, {kFullDecode, prompt}, {{.pages = 0, .remaining = 1}}, 0);
  EXPECT_EQ(Describe(batch), "r1:30 stalled");
}

TEST(SchedulerTest, TheLastOneStallsInsteadOfGivingWay) {
  EXPECT_EQ(Describe(Plan({}, {kFullDecode}, {}, 0)), "stalled");
}

TEST(SchedulerTest, ReservationsStandBehindWaitersAndGrowth) {
  EXPECT_TRUE(Scheduler::MayReserve(8, 8, 0, 0));
  EXPECT_FALSE(Scheduler::MayReserve(9, 8, 0, 0));
  EXPECT_FALSE(Scheduler::MayReserve(8, 8, 0, 1));
  EXPECT_FALSE(Scheduler::MayReserve(4, 8, 5, 0));
  EXPECT_TRUE(Scheduler::MayReserve(2, 8, 5, 1));
}

TEST(SchedulerTest, RandomStatesGiveLawfulPlans) {
  for (uint64_t seed = 1; seed <= 20000; ++seed) {
    uint64_t draws = 0;
    const auto below = [&](int n) { return static_cast<int64_t>(KeyedUniform(seed, 1, draws++) * n); };
    std::vector<RunningView> running(below(8));
    for (RunningView& view : running) {
      view = {.remaining = below(2) == 0 ? 1 : 1 + below(40),
              .own_pages = below(5),
              .preemptable = below(4) != 0};
      if (view.remaining == 1 && view.preemptable) view.missing_pages = below(2);
    }
    std::vector<AdmissionCost> waiting(below(5));
    for (AdmissionCost& cost : waiting) cost = {.pages = below(6), .remaining = 1 + below(40)};
    const SchedulerOptions options{
        .token_budget = 1 + below(60), .max_running = 1 + below(8), .prefill_chunk = 1 + below(30)};
    int64_t available = below(12);
    const Batch batch = Plan(options, running, waiting, available);

    int64_t tokens = 0;
    std::vector<bool> gone(running.size());
    for (size_t index : batch.preempted) {
      EXPECT_TRUE(running[index].preemptable);
      EXPECT_FALSE(gone[index]);
      gone[index] = true;
      available += running[index].own_pages;
    }
    for (const BatchItem& item : batch.items) {
      tokens += item.tokens;
      EXPECT_GE(item.tokens, 1);
      EXPECT_LE(item.tokens, options.prefill_chunk);
      EXPECT_LE(item.tokens, item.admitted ? waiting[item.index].remaining : running[item.index].remaining);
      if (!item.admitted) {
        EXPECT_FALSE(gone[item.index]);
      }
      available -= item.admitted ? waiting[item.index].pages : running[item.index].missing_pages;
    }
    EXPECT_LE(tokens, options.token_budget);
    EXPECT_GE(available, 0);
    // Somebody runs, or nobody can: all that is there is one stalled decode.
    if (!running.empty()) {
      EXPECT_TRUE(batch.stalled || !batch.items.empty());
    }
    if (HasFailure()) FAIL() << "seed " << seed << ": " << Describe(batch);
  }
}

}  // namespace
}  // namespace baton
