// Every rule of the handoff that the model fails without (tests/model/rules.py) is missed by the very classes
// too: alone, or with the rules that cover it. Prints after how many seeds.

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/sim/variants/story.h"
#include "tests/sim/variants/without.h"

namespace baton::testing {
namespace {

struct Found {
  uint64_t seed = 0;  // 0: nothing in all seeds
  std::string what;
};

Found Search(const std::set<std::string>& rules, uint64_t seeds) {
  TakenAway() = rules;
  Found found;
  for (uint64_t seed = 1; seed <= seeds && found.seed == 0; ++seed) {
    const std::string what = Story(seed).Run();
    if (!what.empty()) found = {seed, what};
  }
  TakenAway().clear();
  return found;
}

TEST(HandoffVariantsTest, NothingBreaksWithAllRules) {
  const Found found = Search({}, 3000);
  EXPECT_EQ(found.seed, 0u) << "seed " << found.seed << ": " << found.what;
}

struct Case {
  const char* name;
  std::set<std::string> taken;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class WithoutTest : public ::testing::TestWithParam<Case> {};

TEST_P(WithoutTest, IsFound) {
  constexpr uint64_t kSeeds = 20000;
  const Found found = Search(GetParam().taken, kSeeds);
  ASSERT_NE(found.seed, 0u) << "not found in " << kSeeds << " stories";
  std::printf("%s: after %d stories: %s\n", GetParam().name, static_cast<int>(found.seed),
              found.what.c_str());
}

const Case kCases[] = {
    {"no_confirm", {"NO_CONFIRM"}},
    {"no_checksum", {"NO_CHECKSUM"}},
    {"offer_before_complete", {"OFFER_BEFORE_COMPLETE"}},
    {"eviction_ignores_pins", {"EVICTION_IGNORES_PINS"}},
    {"free_while_read", {"FREE_WHILE_READ"}},
    {"no_quarantine", {"NO_QUARANTINE"}},
    {"fence_never_closes", {"FENCE_NEVER_CLOSES"}},
    {"no_expiry", {"NO_EXPIRY"}},
    {"expired_revives", {"EXPIRED_REVIVES"}},
    {"parts_of_a_revoked_lease_count", {"PARTS_OF_A_REVOKED_LEASE_COUNT"}},
    {"verdict_not_remembered", {"VERDICT_NOT_REMEMBERED"}},
    {"lease_ids_repeat", {"LEASE_IDS_REPEAT"}},
    {"no_secret", {"NO_SECRET"}},
    {"no_pending_expiry", {"NO_PENDING_EXPIRY"}},
    {"no_reader_deadline", {"NO_READER_DEADLINE"}},
    {"new_epoch_revokes_nothing", {"NEW_EPOCH_REVOKES_NOTHING"}},
    {"superseded_may_open", {"SUPERSEDED_MAY_OPEN"}},
    {"superseded_for_good", {"SUPERSEDED_FOR_GOOD"}},
    {"owner_checks_no_epoch", {"OWNER_CHECKS_NO_EPOCH", "NO_SECRET"}},
    {"owner_checks_no_reader_epoch", {"OWNER_CHECKS_NO_READER_EPOCH", "NO_SECRET", "LEASE_IDS_REPEAT"}},
    {"reader_checks_no_epoch", {"READER_CHECKS_NO_EPOCH"}},
    {"reader_checks_no_lease", {"READER_CHECKS_NO_LEASE"}},
    {"no_lease_check", {"NO_LEASE_CHECK", "NO_SECRET"}},
    {"no_seal_count", {"NO_SEAL_COUNT", "NO_COVERAGE", "CONFIRM_COUNT_NOT_COMPARED"}},
    {"confirms_unsealed", {"CONFIRMS_UNSEALED", "UNSEALED_MAY_BE_HELD", "NO_COVERAGE"}},
    {"renew_past_hard_deadline", {"RENEW_PAST_HARD_DEADLINE", "NO_READER_DEADLINE"}},
    {"no_reader_lease_timer", {"NO_READER_LEASE_TIMER", "NO_READER_DEADLINE"}},
    {"no_silence_limit", {"NO_SILENCE_LIMIT", "NO_READER_DEADLINE"}},
    {"ends_not_remembered", {"ENDS_NOT_REMEMBERED", "NO_READER_DEADLINE"}},
    {"unexpected_opened_ignored", {"UNEXPECTED_OPENED_IGNORED", "NO_EXPIRY"}},
    {"revoke_counts_while_confirming", {"REVOKE_COUNTS_WHILE_CONFIRMING", "LATE_RENEW_REVOKES"}},
};
INSTANTIATE_TEST_SUITE_P(Rules, WithoutTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace baton::testing
