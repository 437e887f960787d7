#include "tools/chaos/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kSmall[] = "name: small\nhypothesis: it works\n";

std::string ErrorOf(const std::string& yaml) {
  const auto file = ParseScenario(yaml, false);
  return file.ok() ? "" : std::string(file.status().message());
}

TEST(ScenarioTest, WhatIsLeftOutHasItsDefault) {
  const auto file = ParseScenario(kSmall, false);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->variants.size(), 1u);
  const Scenario& scenario = file->variants[0];
  EXPECT_EQ(scenario.variant, "");
  EXPECT_TRUE(file->expected.holds);
  EXPECT_EQ(scenario.cluster.decode, 2);
  EXPECT_EQ(scenario.cluster.model, "default");
  EXPECT_FALSE(scenario.cluster.own_networks);
  EXPECT_EQ(scenario.checks.errors_at_most, 0);
  EXPECT_TRUE(scenario.checks.tokens_equal);
}

TEST(ScenarioTest, EverySectionIsRead) {
  const auto file = ParseScenario(R"(
name: all
hypothesis: everything is read
expected: {result: fails, because: no replay yet}
repeats: 3
rates: [1, 2.5]
seed: 9
cluster: {prefill: 2, decode: 3, ranks: 2, threads: 1, model: tiny, kv_pool_mb: 64, kv_disk_mb: 128,
          worker_flags: [--pages=64], router_flags: --max_queue=4 --io_threads=1, restart_after: never,
          programs: {decode-1: other}}
load:
  arrivals: gamma
  rate: 4
  burstiness: 3
  duration: 1m
  warmup: 500ms
  prompt_tokens: [10, 20]
  output_tokens: 7
  tenants: [{name: a, share: 3, priority: 1}, {name: b, output_tokens: [1, 2]}]
faults:
  - {at: 10s, kind: kill, target: decode-1, restart_after: 2s}
  - {at: 12s, kind: partition, between: [prefill-0, decode-1], for: 5s}
  - {at: 12s, kind: loss, target: router, for: 5s, percent: 3}
  - {at: 13s, kind: slow_disk, target: kv, for: 1s, delay_ms: 5}
  - {at: 14s, kind: exhaust_pages, target: decode-0/1, for: 1s, leave_percent: 4}
checks:
  errors_at_most: any
  refusals_are_errors: false
  recovery: {within: 10s, factor: 0.5}
  bounds: [{metric: ttft_ms.p90, at_most: 800}]
slo: {ttft_ms: 700, tpot_ms: 90}
)",
                                  false);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_FALSE(file->expected.holds);
  EXPECT_EQ(file->expected.because, "no replay yet");
  const Scenario& s = file->variants[0];
  EXPECT_EQ(s.repeats, 3);
  EXPECT_THAT(s.rates, ElementsAre(1, 2.5));
  EXPECT_EQ(s.cluster.restart_after, absl::InfiniteDuration());
  EXPECT_THAT(s.cluster.router_flags, ElementsAre("--max_queue=4", "--io_threads=1"));
  EXPECT_EQ(s.cluster.programs.at("decode-1"), "other");
  EXPECT_TRUE(s.cluster.own_networks) << "a partition needs them";
  EXPECT_EQ(s.load.duration, absl::Minutes(1));
  EXPECT_EQ(s.load.prompt_tokens, (TokenRange{10, 20}));
  EXPECT_EQ(s.load.output_tokens, (TokenRange{7, 7}));
  ASSERT_EQ(s.load.tenants.size(), 2u);
  EXPECT_EQ(s.load.tenants[0].prompt_tokens, (TokenRange{10, 20})) << "the load's own where it says nothing";
  EXPECT_EQ(s.load.tenants[1].output_tokens, (TokenRange{1, 2}));
  ASSERT_EQ(s.faults.fixed.size(), 5u);
  EXPECT_EQ(s.faults.fixed[0].restart_after, absl::Seconds(2));
  EXPECT_EQ(s.faults.fixed[1].peer, "decode-1");
  EXPECT_EQ(s.faults.fixed[2].peer, "all");
  EXPECT_EQ(s.faults.fixed[3].amount, 5);
  EXPECT_EQ(s.faults.fixed[4].target, "decode-0/1");
  EXPECT_FALSE(s.checks.errors_at_most.has_value());
  EXPECT_FALSE(s.checks.refusals_are_errors);
  ASSERT_TRUE(s.checks.recovery.has_value());
  EXPECT_EQ(s.checks.recovery->factor, 0.5);
  ASSERT_EQ(s.checks.bounds.size(), 1u);
  EXPECT_EQ(s.checks.bounds[0].at_most, 800);
  EXPECT_EQ(s.slo.tpot_ms, 90);
}

constexpr char kVariants[] = R"(
name: both
hypothesis: split is better
cluster: {prefill: 1, decode: 1, threads: 1}
load: {rate: 4, duration: 60s}
variants:
  split: {}
  colocated: {cluster: {prefill: 0, decode: 2}}
quick: {load: {duration: 5s}, repeats: 1}
repeats: 5
compare:
  - {metric: itl_ms.p90, left: split, right: colocated, at_most: 0.9}
)";

TEST(ScenarioTest, VariantsAreOverridesInTheirOrder) {
  const auto file = ParseScenario(kVariants, false);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->variants.size(), 2u);
  EXPECT_EQ(file->variants[0].variant, "split");
  EXPECT_EQ(file->variants[1].variant, "colocated");
  EXPECT_EQ(file->variants[0].cluster.prefill, 1);
  EXPECT_EQ(file->variants[1].cluster.prefill, 0);
  EXPECT_EQ(file->variants[1].cluster.decode, 2);
  EXPECT_EQ(file->variants[1].cluster.threads, 1) << "what is not overridden stays";
  EXPECT_EQ(file->variants[1].repeats, 5);
  EXPECT_EQ(file->compare[0].at_most, 0.9);
}

TEST(ScenarioTest, QuickMayGoOverAVariantOfItsOwn) {
  const std::string more = "  variants: {split: {load: {rate: 40}}}\n";
  std::string yaml = kVariants;
  yaml.replace(yaml.find("quick: {load: {duration: 5s}, repeats: 1}\n"), 42, "quick:\n  repeats: 1\n" + more);
  const auto file = ParseScenario(yaml, true);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->variants[0].load.rate, 40);
  EXPECT_EQ(file->variants[1].load.rate, 4);
  yaml.replace(yaml.find("split: {load"), 5, "slit");
  EXPECT_THAT(ErrorOf(yaml), HasSubstr("there is no variant 'slit'"));
}

TEST(ScenarioTest, QuickGoesOverEveryVariant) {
  const auto file = ParseScenario(kVariants, true);
  ASSERT_TRUE(file.ok()) << file.status();
  for (const Scenario& scenario : file->variants) {
    EXPECT_EQ(scenario.load.duration, absl::Seconds(5));
    EXPECT_EQ(scenario.load.rate, 4);
    EXPECT_EQ(scenario.repeats, 1);
  }
}

TEST(ScenarioTest, WhatIsWrongIsRefusedWithItsPlaceAndWhatIsAllowed) {
  const struct {
    const char* yaml;
    const char* place;
    const char* what;
  } kCases[] = {
      {"cluster: {decoders: 2}", "3:11:", "no key 'decoders'; it has decode, kv_disk_mb"},
      {"cluster:\n  decode: many", "4:11:", "whole number from 1 to 64, not 'many'"},
      {"cluster: {decode: 0}", "3:19:", "from 1 to 64"},
      {"cluster: 3", "3:10:", "must be a mapping"},
      {"cluster: {kv_disk_mb: 3}", "3:23:", "needs kv_pool_mb"},
      {"load: {arrivals: often}", "3:18:", "none of constant, poisson"},
      {"load: {duration: 5}", "3:18:", "a time such as 300ms"},
      {"load: {duration: never}", "3:18:", "a time such as"},
      {"load: {prompt_tokens: [9, 3]}", "3:23:", "[least, most]"},
      {"load: {arrivals: ramp}", "3:18:", "rate_to"},
      {"load: {arrivals: trace}", "3:7:", "needs trace"},
      {"load: {warmup: 30s}", "3:16:", "shorter than load.duration"},
      {"load: {rate: 1, rate: 2}", "3:17:", "'rate' is here twice"},
      {"load: {ignore_eos: yes}", "3:20:", "true or false"},
      {"load: {tenants: [{share: 1}]}", "3:18:", "tenant needs name"},
      {"faults: [{at: 1s, kind: explode, target: kv}]", "3:25:", "none of kill, terminate"},
      {"faults: [{at: 1s, kind: kill, target: decode-2}]", "3:10:", "it has router, prefill-0, decode-0"},
      {"faults: [{at: 1s, kind: stop, target: decode-1}]", "3:10:", "needs for"},
      {"faults: [{kind: kill, target: decode-1}]", "3:10:", "needs at"},
      {"faults: [{at: 1s, kind: kill, target: decode-1, for: 2s}]", "3:49:", "no key 'for'"},
      {"faults: [{at: 1s, kind: kill, between: [router, decode-1]}]", "3:40:", "partition and loss only"},
      {"faults: [{at: 1s, kind: partition, between: [router], for: 1s}]", "3:45:", "two processes"},
      {"faults: [{at: 1s, kind: full_disk, target: kv, for: 1s}]", "3:10:", "no process 'kv'"},
      {"faults: [{at: 1s, kind: exhaust_pages, target: decode-0/3, for: 1s}]", "3:10:", "ranks are 0 to 0"},
      {"faults: [{random: {kinds: [kill], targets: [kv], per_minute: 3, until: 9s}}]", "3:10:", "can suffer"},
      {"faults: [{random: {kinds: [kill], targets: [decode], per_minute: 3}}]", "3:19:", "needs until"},
      {"checks: {errors_at_most: few}", "3:26:", "or any"},
      {"checks: {bounds: [{metric: x}]}", "3:19:", "at_least, at_most or both"},
      {"expected: maybe", "3:11:", "holds or fails"},
      {"expected: fails", "3:11:", "its reason"},
      {"rates: [0]", "3:8:", "no rate"},
      {"variants: {a: {name: x}}", "3:22:", "the file's"},
      {"variants: []", "3:11:", "must be a mapping"},
      {"variants: {a: {load: {rate: x}}}", "3:29:", "must be a number"},
      {"compare: [{metric: x, left: a, right: b, at_most: 1}]", "3:10:", "no variant 'a'"},
      {"speed: 9", "3:1:", "no key 'speed'"},
      {"load: [", "", "not YAML"},
  };
  for (const auto& one : kCases) {
    const std::string error = ErrorOf(std::string(kSmall) + one.yaml + "\n");
    EXPECT_THAT(error, testing::StartsWith(one.place)) << one.yaml;
    EXPECT_THAT(error, HasSubstr(one.what)) << one.yaml;
  }
}

TEST(ScenarioTest, NameAndHypothesisAreNeeded) {
  EXPECT_THAT(ErrorOf("hypothesis: x\n"), HasSubstr("needs name"));
  EXPECT_THAT(ErrorOf("name: x\n"), HasSubstr("needs hypothesis"));
  EXPECT_THAT(ErrorOf("name: a/b\nhypothesis: x\n"), HasSubstr("letters, digits"));
  EXPECT_THAT(ErrorOf("- 3\n"), HasSubstr("must be a mapping"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("must be a mapping"));
}

TEST(ScenarioTest, AFileThatIsNotThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ReadScenario(testing::TempDir() + "/none.yaml", false).status()));
}

}  // namespace
}  // namespace baton::chaos
