#include "engine/text/bpe.h"

#include <map>
#include <random>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace baton {
namespace {

using ::testing::ElementsAre;

struct Rules {
  BpeMerger merger;
  std::map<std::pair<TokenId, TokenId>, std::pair<int, TokenId>> ranks;
  int next = 256;

  explicit Rules(int alphabet) {
    for (int byte = 0; byte < alphabet; ++byte) merger.SetByteToken(static_cast<uint8_t>('a' + byte), byte);
  }
  TokenId Add(TokenId left, TokenId right) {
    merger.AddMerge(left, right, next);
    ranks.emplace(std::make_pair(left, right), std::make_pair(static_cast<int>(ranks.size()), next));
    return next++;
  }
  // The definition, read aloud: quadratic.
  std::vector<TokenId> Slowly(const std::string& word) const {
    std::vector<TokenId> ids;
    for (const char byte : word) ids.push_back(byte - 'a');
    while (true) {
      auto best = ranks.end();
      size_t at = 0;
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        const auto found = ranks.find({ids[i], ids[i + 1]});
        if (found != ranks.end() && (best == ranks.end() || found->second.first < best->second.first)) {
          best = found;
          at = i;
        }
      }
      if (best == ranks.end()) return ids;
      ids[at] = best->second.second;
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
  }
};

TEST(Bpe, EqualsTheDefinitionOnRandomRules) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    Rules rules(3);
    std::vector<TokenId> known = {0, 1, 2};
    for (int i = 0; i < 12; ++i) {
      const TokenId left = known[random() % known.size()];
      const TokenId right = known[random() % known.size()];
      if (!rules.ranks.contains({left, right})) known.push_back(rules.Add(left, right));
    }
    for (int word = 0; word < 20; ++word) {
      std::string text(random() % 40, 'a');
      for (char& byte : text) byte = static_cast<char>('a' + random() % 3);
      std::vector<TokenId> out;
      rules.merger.Encode(text, &out);
      ASSERT_EQ(out, rules.Slowly(text)) << text;
    }
  }
}

TEST(Bpe, LeftmostAmongEqualRanks) {
  Rules rules(1);
  const TokenId pair = rules.Add(0, 0);
  std::vector<TokenId> out;
  rules.merger.Encode("aaaaa", &out);
  EXPECT_THAT(out, ElementsAre(pair, pair, 0));
}

TEST(Bpe, LeavesOutBytesWithoutTokensAndMergesAcrossThem) {
  Rules rules(2);
  const TokenId ab = rules.Add(0, 1);
  std::vector<TokenId> out;
  rules.merger.Encode("a?b", &out);
  EXPECT_THAT(out, ElementsAre(ab));
}

TEST(Bpe, WorkIsLinearInHostileWords) {
  constexpr uint64_t kLength = 1 << 20;
  Rules rules(2);
  TokenId power = 0;
  for (int i = 0; i < 16; ++i) power = rules.Add(power, power);
  rules.Add(0, 1);
  rules.Add(1, 0);
  std::string alternating;
  while (alternating.size() < kLength) alternating += "ab";
  for (const std::string& word : {std::string(kLength, 'a'), alternating}) {
    std::vector<TokenId> out;
    EXPECT_LE(rules.merger.Encode(word, &out), 3 * kLength);
    EXPECT_LT(out.size(), kLength);
  }
}

}  // namespace
}  // namespace baton
