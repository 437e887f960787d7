#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <thread>

#include "tools/chaos/dry_run.h"
#include "tools/chaos/remote_commands.h"
#include "tools/chaos/remote_driver.h"

namespace baton::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Shell(const std::vector<Command>& commands) {
  std::vector<std::string> lines;
  for (const Command& command : commands) lines.push_back(ToShell(command));
  return lines;
}

Deployment Compose() {
  Deployment deployment;
  deployment.url = "http://127.0.0.1:8000";
  deployment.container = "baton_{role}_{index}";
  deployment.network = "baton_net";
  return deployment;
}

TEST(TemplateTest, PartsOfTheNameAreFilledIn) {
  EXPECT_EQ(FillTemplate("{name}", "decode-1"), "decode-1");
  EXPECT_EQ(FillTemplate("x_{role}_{index}", "decode-12"), "x_decode_12");
  EXPECT_EQ(FillTemplate("{role}-{index}", "router"), "router-0");
}

TEST(ContainerCommandsTest, SignalsAndEnds) {
  const ContainerCommands podman("podman", Compose());
  EXPECT_THAT(Shell(*podman.Signal("decode-1", SIGSTOP)), ElementsAre("podman pause baton_decode_1"));
  EXPECT_THAT(Shell(*podman.Signal("decode-1", SIGCONT)), ElementsAre("podman unpause baton_decode_1"));
  EXPECT_THAT(Shell(podman.End("decode-1", SIGKILL)),
              ElementsAre("podman kill --signal KILL baton_decode_1"));
  EXPECT_THAT(Shell(ContainerCommands("docker", Compose()).End("router", SIGTERM)),
              ElementsAre("docker kill --signal TERM baton_router_0"));
  EXPECT_THAT(Shell(podman.StartAgain("decode-1")), ElementsAre("podman start baton_decode_1"));
}

TEST(ContainerCommandsTest, APartitionTakesItOffTheNetworkAndBack) {
  const ContainerCommands podman("podman", Compose());
  const std::vector<NetworkFault> cut = {{"decode-1", "all", 100}};
  EXPECT_THAT(Shell(*podman.SetNetwork({}, cut)),
              ElementsAre("podman network disconnect baton_net baton_decode_1"));
  EXPECT_THAT(Shell(*podman.SetNetwork(cut, cut)), IsEmpty());
  EXPECT_THAT(Shell(*podman.SetNetwork(cut, {})),
              ElementsAre("podman network connect baton_net baton_decode_1"));
  EXPECT_TRUE(absl::IsUnimplemented(podman.SetNetwork({}, {{"decode-1", "router", 100}}).status()));
  EXPECT_TRUE(absl::IsUnimplemented(podman.SetNetwork({}, {{"decode-1", "all", 5}}).status()));
}

TEST(KubernetesCommandsTest, PodsAreDeletedAndSignalled) {
  Deployment deployment;
  deployment.kubernetes_context = "kind";
  const KubernetesCommands kubectl(deployment);
  EXPECT_THAT(Shell(kubectl.End("decode-1", SIGKILL)),
              ElementsAre("kubectl --context kind --namespace baton delete pod decode-1 --wait=false "
                          "--grace-period=0 --force"));
  EXPECT_THAT(Shell(kubectl.End("decode-1", SIGTERM)),
              ElementsAre("kubectl --context kind --namespace baton delete pod decode-1 --wait=false"));
  EXPECT_THAT(Shell(*kubectl.Signal("prefill-0", SIGSTOP)),
              ElementsAre("kubectl --context kind --namespace baton exec prefill-0 -- sh -c 'kill -STOP "
                          "$(pidof baton-prefill)'"));
  EXPECT_THAT(kubectl.StartAgain("decode-1"), IsEmpty()) << "its controller does";
  EXPECT_EQ(ToShell(kubectl.Get("decode-1", "/metrics")),
            "kubectl --context kind --namespace baton get --raw "
            "/api/v1/namespaces/baton/pods/decode-1:9100/proxy/metrics");
}

TEST(KubernetesCommandsTest, PartitionsAreNetworkPolicies) {
  const KubernetesCommands kubectl(Deployment{});
  const std::vector<NetworkFault> cut = {{"decode-1", "prefill-0", 100}};
  const auto made = kubectl.SetNetwork({}, cut);
  ASSERT_TRUE(made.ok());
  ASSERT_EQ(made->size(), 1u);
  EXPECT_THAT((*made)[0].words, ElementsAre("kubectl", "--namespace", "baton", "apply", "-f", "-"));
  EXPECT_THAT((*made)[0].input, HasSubstr("name: baton-chaos-decode-1-prefill-0"));
  EXPECT_THAT((*made)[0].input, HasSubstr("pod-name: decode-1"));
  EXPECT_THAT((*made)[0].input, HasSubstr("operator: NotIn, values: [prefill-0]"));
  EXPECT_THAT(Shell(*kubectl.SetNetwork(cut, {})),
              ElementsAre("kubectl --namespace baton delete networkpolicy baton-chaos-decode-1-prefill-0 "
                          "--ignore-not-found"));
  EXPECT_THAT((*kubectl.SetNetwork({}, {{"decode-1", "all", 100}}))[0].input, HasSubstr("ingress: []"));
  EXPECT_TRUE(absl::IsUnimplemented(kubectl.SetNetwork({}, {{"decode-1", "all", 5}}).status()));
}

TEST(RemoteDriverTest, WhatIsCutIsHealedWhenItGoesAndWhatEndedIsStartedAgain) {
  std::vector<std::string> ran;
  const auto run = [&](const Command& command) -> absl::StatusOr<std::string> {
    ran.push_back(ToShell(command));
    return std::string(
        ran.back().find("inspect --format '{{.State.Running}}'") == std::string::npos ? "12" : "false\n");
  };
  Scenario scenario;
  scenario.deployment = Compose();
  {
    RemoteDriver driver(scenario, std::make_unique<ContainerCommands>("podman", scenario.deployment), run,
                        "");
    EXPECT_TRUE(driver.End("decode-0", SIGKILL, absl::ZeroDuration(), absl::InfiniteDuration()).ok());
    EXPECT_EQ(driver.Processes().back().name, "decode-1");
    EXPECT_TRUE(driver.SetNetwork({{"decode-1", "all", 100}}).ok());
    EXPECT_EQ(*driver.Get("decode-1", "/metrics"), "12");
    EXPECT_TRUE(absl::IsUnimplemented(driver.SetDisk("kv", {.full = true})));
    EXPECT_TRUE(absl::IsInvalidArgument(
        RemoteDriver(Scenario{}, std::make_unique<ContainerCommands>("podman", Compose()), run, "")
            .Start([](const std::string&) {}, [] { return false; })));
  }
  ASSERT_EQ(ran.size(), 6u);
  EXPECT_EQ(ran[1], "podman inspect --format '{{.State.Running}}' baton_decode_0");
  ran.erase(ran.begin() + 1);
  EXPECT_EQ(ran[0], "podman kill --signal KILL baton_decode_0");
  EXPECT_EQ(ran[1], "podman start baton_decode_0");
  EXPECT_EQ(ran[2], "podman network disconnect baton_net baton_decode_1");
  EXPECT_THAT(ran[3], HasSubstr("curl"));
  EXPECT_EQ(ran[4], "podman network connect baton_net baton_decode_1");
}

// Runs commands on one container that goes on running after its end was asked for, until it is killed.
class Stubborn {
 public:
  absl::StatusOr<std::string> Run(const Command& command) {
    const std::string& verb = command.words[1];
    told.push_back(verb == "kill" ? command.words[3] : verb);
    if (told.back() == "KILL") running = false;
    if (verb == "inspect") return std::string(running ? "true\n" : "false\n");
    if (verb != "start") return std::string();
    if (!running && --failing_starts < 0) return std::string();
    return absl::FailedPreconditionError("not now");
  }
  bool running = true;
  int failing_starts = 1;
  std::vector<std::string> told;
};

TEST(RemoteDriverTest, IsStartedAgainOnceItHasReallyEnded) {
  Stubborn container;
  Scenario scenario;
  scenario.deployment = Compose();
  RemoteDriver driver(
      scenario, std::make_unique<ContainerCommands>("podman", scenario.deployment),
      [&](const Command& command) { return container.Run(command); }, "");
  ASSERT_TRUE(driver.End("decode-0", SIGTERM, absl::ZeroDuration(), absl::Milliseconds(100)).ok());
  const auto up = [&] {
    const auto views = driver.Processes();
    return std::any_of(views.begin(), views.end(), [](const ProcessView& view) {
      return view.name == "decode-0" && view.alive && view.restarts == 1;
    });
  };
  const SteadyClock clock;
  const MonoTime deadline = clock.Now() + absl::Seconds(60);
  while (!up() && clock.Now() < deadline) std::this_thread::yield();
  EXPECT_THAT(container.told,
              ElementsAre("TERM", "inspect", "inspect", "KILL", "inspect", "start", "inspect", "start"));
}

TEST(DryRunTest, ShowsEveryStepAndWhatCannotBeDone) {
  Scenario scenario;
  scenario.deployment = Compose();
  const Schedule schedule{
      1,
      {{.at = absl::Seconds(1),
        .kind = FaultKind::kKill,
        .target = "decode-1",
        .restart_after = absl::Seconds(2)},
       {.at = absl::Seconds(2), .kind = FaultKind::kStop, .target = "decode-0", .lasting = absl::Seconds(3)},
       {.at = absl::Seconds(3),
        .kind = FaultKind::kLoss,
        .target = "router",
        .peer = "all",
        .lasting = absl::Seconds(3),
        .amount = 5}}};
  const std::string text =
      DryRun(scenario, schedule, std::make_unique<ContainerCommands>("docker", scenario.deployment));
  EXPECT_THAT(text, HasSubstr("# 1s kill -9 decode-1\ndocker kill --signal KILL baton_decode_1\n# 2s "
                              "later\ndocker start baton_decode_1\n"));
  EXPECT_THAT(text, HasSubstr("# 5s over: SIGSTOP decode-0 for 3s\ndocker unpause baton_decode_0\n"));
  EXPECT_THAT(text, HasSubstr("# cannot be done: packets are lost on local processes only"));
}

}  // namespace
}  // namespace baton::chaos
