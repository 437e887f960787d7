#include "services/router/serve/event_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace baton::router {
namespace {

EventId Sample(uint32_t choices) {
  EventId id{
      .root = {0x0123456789abcdef, 0xfedcba9876543210}, .claim = 70000, .usage_sent = choices % 2 == 1};
  for (uint32_t i = 0; i < choices; ++i) {
    id.choices.push_back({.phase = static_cast<ChoiceMark::Phase>(i % 4),
                          .tokens = i * 1000003,
                          .holders = {i + 1, i == 2 ? 0 : 0xffffffff - i}});
  }
  return id;
}

TEST(EventId, ComesBackAsItWas) {
  for (uint32_t choices = 1; choices <= kMaxResumableChoices; ++choices) {
    const std::string text = EncodeEventId(Sample(choices));
    EXPECT_LE(text.size(), kMaxEventIdChars);
    EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              std::string::npos);
    EXPECT_EQ(DecodeEventId(text), Sample(choices));
  }
  EXPECT_LE(EncodeEventId(Sample(1)).size(), 48u) << "it goes out with every token";
}

TEST(EventId, NothingElseIsOne) {
  EXPECT_EQ(DecodeEventId(""), std::nullopt);
  EXPECT_EQ(DecodeEventId("AQ"), std::nullopt);
  EXPECT_EQ(DecodeEventId(EncodeEventId(Sample(0))), std::nullopt);
  EXPECT_EQ(DecodeEventId(EncodeEventId(Sample(kMaxResumableChoices + 1))), std::nullopt);
  EXPECT_EQ(DecodeEventId(std::string(1 << 20, 'A')), std::nullopt);
  EXPECT_EQ(DecodeEventId(EncodeEventId(Sample(1)) + "="), std::nullopt);
}

// Whatever a client sends is refused, or is an id in its one written form.
TEST(EventId, MutationsAreRefusedOrMeanWhatTheySay) {
  std::mt19937 rng(7);
  for (int i = 0; i < 100000; ++i) {
    std::string text = EncodeEventId(Sample(1 + rng() % 4));
    for (uint32_t change = 1 + rng() % 4; change > 0 && !text.empty(); --change) {
      const size_t at = rng() % text.size();
      switch (rng() % 4) {
        case 0:
          text[at] = static_cast<char>(rng());
          break;
        case 1:
          text.erase(at, 1 + rng() % 8);
          break;
        case 2:
          text.insert(at, 1, "AQgw_-9z"[rng() % 8]);
          break;
        default:
          text += text.substr(at);
      }
    }
    const std::optional<EventId> id = DecodeEventId(text);
    if (!id) continue;
    EXPECT_EQ(EncodeEventId(*id), text);
    EXPECT_THAT(id->choices.size(), testing::AllOf(testing::Ge(1u), testing::Le(kMaxResumableChoices)));
  }
}

TEST(EventId, StreamsFollowFromTheRootAndClaimsGrow) {
  std::set<StreamId> streams;
  for (uint32_t root = 1; root <= 10; ++root) {
    for (uint32_t choice = 0; choice < 10; ++choice) streams.insert(ChoiceStream({root, 5}, choice));
  }
  EXPECT_EQ(streams.size(), 100u);
  EXPECT_EQ(ChoiceStream({1, 5}, 3), ChoiceStream({1, 5}, 3));
  const uint32_t first = *NextClaim(1), second = *NextClaim(first);
  EXPECT_LT(1u, first);
  EXPECT_LT(first, second);
  EXPECT_EQ(NextClaim(0xffff0000), std::nullopt);
  EXPECT_NE(HolderTag({}), 0u);
}

}  // namespace
}  // namespace baton::router
