#include "tools/chaos/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace baton::chaos {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const AddressOf kAddresses = {{"router", "10.9.1.2"}, {"decode-0", "10.9.1.3"}};

TEST(NetworkRulesTest, NoFaultLetsEverythingThrough) {
  EXPECT_EQ(RulesFor({}, kAddresses),
            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n");
}

TEST(NetworkRulesTest, APartitionCutsBothWays) {
  const std::string rules = RulesFor({{"router", "decode-0", 100}}, kAddresses);
  EXPECT_THAT(
      rules,
      HasSubstr("-A FORWARD -s 10.9.1.2 -d 10.9.1.3 -j DROP\n-A FORWARD -s 10.9.1.3 -d 10.9.1.2 -j DROP\n"));
}

TEST(NetworkRulesTest, AgainstAllNamesNoPeer) {
  const std::string rules = RulesFor({{"decode-0", "all", 100}}, kAddresses);
  EXPECT_THAT(rules, HasSubstr("-A FORWARD -s 10.9.1.3 -j DROP\n-A FORWARD -d 10.9.1.3 -j DROP\n"));
}

TEST(NetworkRulesTest, LossIsAShareOfThePackets) {
  const std::string rules = RulesFor({{"decode-0", "all", 12.5}}, kAddresses);
  EXPECT_THAT(rules, HasSubstr("-s 10.9.1.3 -m statistic --mode random --probability 0.125000 -j DROP"));
  EXPECT_THAT(RulesFor({{"decode-0", "all", 0}}, kAddresses), Not(HasSubstr("DROP")));
}

TEST(NetworkRulesTest, FaultsAddUpAndStrangersAreLeftOut) {
  const std::string rules =
      RulesFor({{"router", "decode-0", 100}, {"nobody", "all", 100}, {"router", "all", 5}}, kAddresses);
  EXPECT_EQ(std::count(rules.begin(), rules.end(), '\n'), 5 + 4);
}

TEST(NetworkPlanTest, EveryProcessHasAnAddressAndWhatIsMadeIsRemoved) {
  const NetworkPlan plan{"baton-chaos-7-1", 50, {"router", "decode-0"}};
  EXPECT_EQ(plan.Addresses(), (AddressOf{{"router", "10.50.1.2"}, {"decode-0", "10.50.1.3"}}));
  for (const char* made : {"baton-chaos-7-1-hub", "baton-chaos-7-1-router", "baton-chaos-7-1-decode-0"}) {
    EXPECT_THAT(plan.MakeScript(), HasSubstr(absl::StrCat("ip netns add ", made, "\n")));
    EXPECT_THAT(plan.RemoveScript(), HasSubstr(absl::StrCat("ip netns del ", made, " ")));
  }
  EXPECT_THAT(plan.RemoveScript(), HasSubstr("ip link del bchaos50"));
}

// Whether a TCP connection from one network to a listener in another comes about within 2 s.
bool Reaches(const Networks& networks, const std::string& from, const std::string& to) {
  const std::string listen =
      "import socket,sys; s=socket.create_server((sys.argv[1],7777)); print('up', flush=True); "
      "s.settimeout(4); s.accept()";
  const std::string address = networks.addresses().at(to);
  std::string script;
  for (const std::string& word : networks.Enter(to)) absl::StrAppend(&script, word, " ");
  absl::StrAppend(&script, "python3 -c \"", listen, "\" ", address, " 2>/dev/null | { read up; ");
  for (const std::string& word : networks.Enter(from)) absl::StrAppend(&script, word, " ");
  absl::StrAppend(&script, "python3 -c \"import socket; socket.create_connection(('", address,
                  "',7777), 2)\" 2>/dev/null && echo yes || echo no; }");
  const auto said = RunCommand({{"sh", "-c", script}});
  return said.ok() && *said == "yes\n";
}

TEST(NetworksTest, PartitionsCutAndHeal) {
  auto networks = Networks::Make({"a", "b", "c"});
  if (!networks.ok()) GTEST_SKIP() << networks.status().message();
  EXPECT_TRUE(Reaches(*networks, "a", "b"));
  ASSERT_TRUE(networks->Apply({{"a", "b", 100}}).ok());
  EXPECT_FALSE(Reaches(*networks, "a", "b"));
  EXPECT_TRUE(Reaches(*networks, "a", "c"));
  ASSERT_TRUE(networks->Apply({{"a", "all", 100}}).ok());
  EXPECT_FALSE(Reaches(*networks, "a", "c"));
  EXPECT_TRUE(Reaches(*networks, "b", "c"));
  ASSERT_TRUE(networks->Apply({}).ok());
  EXPECT_TRUE(Reaches(*networks, "a", "b"));
}

TEST(NetworksTest, NothingIsLeftAfterwards) {
  {
    const auto networks = Networks::Make({"a"});
    if (!networks.ok()) GTEST_SKIP() << networks.status().message();
    EXPECT_THAT(*RunCommand({{"ip", "netns", "list"}}),
                HasSubstr(absl::StrCat("baton-chaos-", getpid(), "-")));
  }
  EXPECT_THAT(*RunCommand({{"ip", "netns", "list"}}),
              Not(HasSubstr(absl::StrCat("baton-chaos-", getpid(), "-"))));
}

}  // namespace
}  // namespace baton::chaos
