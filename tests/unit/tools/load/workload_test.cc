#include "tools/load/workload.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/load/request_body.h"

namespace baton::load {
namespace {

using ::testing::HasSubstr;

WorkloadSpec Spec(double rate, double seconds) {
  WorkloadSpec spec;
  spec.arrivals.rate = rate;
  spec.arrivals.duration = absl::Seconds(seconds);
  return spec;
}

std::string PromptOf(const PlannedRequest& request, const RequestStyle& style) {
  return RequestBody(request, WithPrompt({}, request, style), style);
}

TEST(Workload, TheSameSeedIsTheSamePlan) {
  WorkloadSpec spec = Spec(50, 10);
  spec.prompt = *ParseLengths("lognormal:100:1:2000");
  spec.cancel_share = 0.2;
  spec.shared_prompts = 3;
  spec.shared_tokens = 40;
  const RequestStyle style;
  const LoadPlan one = *MakePlan(spec), again = *MakePlan(spec);
  ASSERT_EQ(one.requests.size(), again.requests.size());
  for (size_t i = 0; i < one.requests.size(); ++i) {
    EXPECT_EQ(one.requests[i].at, again.requests[i].at);
    EXPECT_EQ(PromptOf(one.requests[i], style), PromptOf(again.requests[i], style));
  }
  spec.seed = 2;
  EXPECT_NE(PromptOf(MakePlan(spec)->requests[0], style), PromptOf(one.requests[0], style));
}

TEST(Workload, SharedPromptsAreSharedAndTheRestIsNot) {
  WorkloadSpec spec = Spec(100, 5);
  spec.shared_prompts = 2;
  spec.shared_tokens = 50;
  std::set<uint64_t> shared, own;
  const LoadPlan plan = *MakePlan(spec);
  for (const PlannedRequest& request : plan.requests) {
    ASSERT_EQ(request.prompt.system.size(), 1u);
    shared.insert(request.prompt.system[0].key);
    own.insert(request.prompt.user[0].key);
    EXPECT_EQ(request.input_tokens, 50 + 128);
  }
  EXPECT_EQ(shared.size(), 2u);
  EXPECT_EQ(own.size(), plan.requests.size());
}

TEST(Workload, SharesOfTenantsAndCancels) {
  WorkloadSpec spec = Spec(1000, 10);
  spec.tenants = *ParseTenants("gold:3:5,free:1");
  spec.tenants[1].answer = Lengths{.first = 7};
  spec.cancel_share = 0.25;
  spec.cancel_after = 4;
  double gold = 0, cancelled = 0;
  const LoadPlan plan = *MakePlan(spec);
  for (const PlannedRequest& request : plan.requests) {
    gold += request.tenant == "gold";
    cancelled += request.cancel_after == 4;
    EXPECT_EQ(request.priority, request.tenant == "gold" ? 5 : 0);
    EXPECT_EQ(request.max_tokens, request.tenant == "gold" ? 32 : 7);
  }
  EXPECT_NEAR(gold / static_cast<double>(plan.requests.size()), 0.75, 0.02);
  EXPECT_NEAR(cancelled / static_cast<double>(plan.requests.size()), 0.25, 0.02);
}

TEST(Workload, TurnsFollowEachOther) {
  WorkloadSpec spec = Spec(2, 5);
  spec.turns = 3;
  spec.think = absl::Seconds(2);
  spec.shared_prompts = 1;
  spec.shared_tokens = 8;
  const LoadPlan plan = *MakePlan(spec);
  ASSERT_EQ(plan.requests.size() % 3, 0u);
  for (size_t i = 0; i < plan.requests.size(); ++i) {
    const PlannedRequest& request = plan.requests[i];
    EXPECT_EQ(request.after, i % 3 == 0 ? -1 : static_cast<int64_t>(i) - 1);
    EXPECT_EQ(request.prompt.system.empty(), i % 3 != 0);
    if (i % 3 != 0) {
      EXPECT_EQ(request.at, absl::Seconds(2));
    }
  }
}

TEST(Workload, NonsenseIsRefused) {
  for (const char* text : {"", "a:x", "a:0", ":1", "a:1:2:3"}) {
    EXPECT_EQ(ParseTenants(text).ok(), std::string(text).empty()) << text;
  }
  for (const char* text :
       {"", "0", "x", "uniform:5", "uniform:9:5", "lognormal:5:-1", "lognormal:5", "5:6", "nan"}) {
    EXPECT_THAT(std::string(ParseLengths(text).status().message()), HasSubstr("a length is")) << text;
  }
  WorkloadSpec spec = Spec(1, 1);
  spec.turns = 0;
  EXPECT_FALSE(MakePlan(spec).ok());
  EXPECT_FALSE(MakePlan(Spec(-1, 1)).ok());
  EXPECT_FALSE(MakePlan(Spec(1, 0)).ok());
  spec = Spec(1e5, 1e6);
  spec.arrivals.most = 10 * kMostRequests;
  EXPECT_FALSE(MakePlan(spec).ok());
}

TEST(Lengths, AreAsDescribed) {
  Random random(1, 9);
  const Lengths uniform = *ParseLengths("uniform:10:20"), normal = *ParseLengths("lognormal:100:0.5:150");
  std::vector<int64_t> draws;
  for (int i = 0; i < 4001; ++i) {
    const int64_t even = uniform.Draw(random);
    EXPECT_TRUE(even >= 10 && even <= 20);
    draws.push_back(normal.Draw(random));
    EXPECT_TRUE(draws.back() >= 1 && draws.back() <= 150);
  }
  std::sort(draws.begin(), draws.end());
  EXPECT_NEAR(static_cast<double>(draws[2000]), 100, 4);
}

std::pair<double, double> MeanAndCv(const std::vector<absl::Duration>& times) {
  double sum = 0, squares = 0;
  for (size_t i = 1; i < times.size(); ++i) {
    const double gap = absl::ToDoubleSeconds(times[i] - times[i - 1]);
    sum += gap;
    squares += gap * gap;
  }
  const double count = static_cast<double>(times.size() - 1), mean = sum / count;
  return {mean, std::sqrt(std::max(0.0, squares / count - mean * mean)) / mean};
}

TEST(Arrivals, GapsHaveTheWantedMeanAndSpread) {
  const std::pair<const char*, double> kinds[] = {{"constant", 0}, {"poisson", 1}, {"gamma", 3}};
  for (const auto& [name, cv] : kinds) {
    ArrivalSpec spec{*ParseArrivalKind(name), 100, 1, 3, absl::Seconds(1000)};
    const auto times = *Arrivals(spec);
    const auto [mean, spread] = MeanAndCv(times);
    EXPECT_NEAR(mean, 0.01, 0.0004) << name;
    EXPECT_NEAR(spread, cv, cv * 0.04 + 1e-6) << name;
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
    EXPECT_LT(times.back(), spec.duration);
  }
  EXPECT_FALSE(ParseArrivalKind("bursty").ok());
}

TEST(Arrivals, ARampGoesFromOneRateToTheOther) {
  const auto times = *Arrivals({ArrivalKind::kRamp, 10, 90, 1, absl::Seconds(200)});
  EXPECT_NEAR(static_cast<double>(times.size()), 50 * 200, 400);
  const auto in = [&](double from, double to) {
    return std::count_if(times.begin(), times.end(), [&](absl::Duration at) {
      return at >= absl::Seconds(from) && at < absl::Seconds(to);
    });
  };
  EXPECT_NEAR(static_cast<double>(in(0, 20)), 14 * 20, 70);
  EXPECT_NEAR(static_cast<double>(in(180, 200)), 86 * 20, 170);
}

TEST(Arrivals, AtMostSoMany) {
  EXPECT_EQ(Arrivals({.rate = 100, .most = 7})->size(), 7u);
}

std::vector<TraceRow> Rows(const std::string& file) {
  const auto rows =
      ReadTrace(std::string(BATON_SOURCE_DIR) + "/tests/unit/tools/load/traces/" + file, "auto");
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.value_or(std::vector<TraceRow>());
}

TEST(Trace, MooncakePromptsReallySharePrefixes) {
  const auto rows = Rows("mooncake.jsonl");
  const LoadPlan plan = *TracePlan(Spec(1, 60), rows, {.speed = 2});
  ASSERT_EQ(plan.requests.size(), 3u);
  EXPECT_EQ(plan.requests[2].at, absl::Seconds(1));
  EXPECT_EQ(plan.requests[1].max_tokens, 30);
  RequestStyle style{Api::kCompletions, "m", 5000};
  std::vector<std::vector<int32_t>> ids;
  for (const PlannedRequest& request : plan.requests) ids.push_back(WithPrompt({}, request, style).ids);
  ASSERT_EQ(ids[0].size(), 1100u);
  ASSERT_EQ(ids[1].size(), 1300u);
  EXPECT_TRUE(std::equal(ids[0].begin(), ids[0].begin() + 1024, ids[1].begin()));
  EXPECT_NE(ids[0][1024], ids[1][1024]);
  EXPECT_NE(ids[0][0], ids[2][0]);
  for (const int32_t id : ids[0]) EXPECT_TRUE(id >= 256 && id < 5000);
}

TEST(Trace, ScaledAndCutPromptsStillShare) {
  const LoadPlan plan = *TracePlan(Spec(1, 60), Rows("mooncake.jsonl"), {1, 0.5, 400, 12});
  EXPECT_EQ(plan.requests[0].input_tokens, 400);
  EXPECT_EQ(plan.requests[2].input_tokens, 300);
  EXPECT_EQ(plan.requests[0].max_tokens, 10);
  EXPECT_EQ(plan.requests[1].max_tokens, 12);
  EXPECT_EQ(plan.requests[0].prompt, plan.requests[1].prompt);  // their first 400 tokens are the same
  EXPECT_EQ(TracePlan(Spec(1, 1.5), Rows("mooncake.jsonl"), {})->requests.size(), 2u);  // within the duration
}

TEST(Trace, AzureRowsAreSortedAndEmptyOnesLeftOut) {
  const auto rows = Rows("azure.csv");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].input_tokens, 396);
  EXPECT_EQ(*rows[0].at, absl::ZeroDuration());
  EXPECT_EQ(*rows[1].at, absl::Seconds(1));
  EXPECT_EQ(rows[1].output_tokens, 44);
}

TEST(Trace, ShareGptConversationsBecomeSessions) {
  const auto rows = Rows("sharegpt.json");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_FALSE(rows[0].at.has_value());
  WorkloadSpec spec = Spec(1, 1000);
  spec.arrivals.kind = ArrivalKind::kConstant;
  spec.arrivals.most = 2;
  spec.turns = 5;
  const LoadPlan plan = *TracePlan(spec, rows, {});
  ASSERT_EQ(plan.requests.size(), 2u);  // `most` is of requests
  EXPECT_EQ(plan.requests[0].prompt.text, "What is a baton?");
  EXPECT_EQ(plan.requests[1].after, 0);
}

TEST(Trace, WhatIsWrongIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"timestamp\": 1}\n", "line 1"},
      {"\n{\"timestamp\": 1, \"input_length\": 5, \"output_length\": 5, \"hash_ids\": [-1]}", "line 2"},
      {"TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2\n", "line 2"},
      {"[{\"conversations\": 3}]", "element 0"},
      {"[", "JSON array"},
      {"", "no requests"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(std::string(ParseTrace(text, "auto").status().message()), HasSubstr(message)) << text;
  }
  EXPECT_THAT(std::string(ParseTrace("", "csv").status().message()), HasSubstr("not 'csv'"));
  EXPECT_EQ(ReadTrace("/nonexistent/trace", "auto").status().code(), absl::StatusCode::kNotFound);
}

TEST(RequestBody, SaysWhatTheApiWants) {
  PlannedRequest request;
  request.prompt = {{{1, 2}}, {{2, 3}}, " \"end\"\n"};
  request.max_tokens = 9;
  request.seed = 77;
  request.ignore_eos = true;
  request.tenant = "gold";
  request.priority = -2;
  const std::string chat = PromptOf(request, {Api::kChat, "m"});
  for (const char* part : {R"("model":"m")", R"("messages":[{"role":"system","content":" )",
                           R"("role":"user")", R"( \"end\"\n")", R"("max_tokens":9)", R"("seed":77)",
                           R"("stream":true)", R"("stream_options":{"include_usage":true})",
                           R"("ignore_eos":true)", R"("user":"gold")", R"("priority":-2)"}) {
    EXPECT_THAT(chat, HasSubstr(part));
  }
  EXPECT_THAT(PromptOf(request, {Api::kCompletions, "m"}), HasSubstr(R"("prompt":" )"));
  RequestStyle ids{Api::kCompletions, "m", 100, true};
  const Conversation prompt = WithPrompt({}, request, ids);
  EXPECT_EQ(prompt.ids.size(), 5u);
  EXPECT_THAT(RequestBody(request, prompt, ids), HasSubstr(R"("return_token_ids":true)"));
}

TEST(RequestBody, PartsWithOneKeyBeginAlike) {
  std::string shorter, longer;
  AppendWords({5, 10}, shorter);
  AppendWords({5, 30}, longer);
  EXPECT_EQ(longer.substr(0, shorter.size()), shorter);
  EXPECT_EQ(std::count(longer.begin(), longer.end(), ' '), 30);
}

}  // namespace
}  // namespace baton::load
