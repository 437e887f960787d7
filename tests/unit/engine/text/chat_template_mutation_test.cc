// 20,000 seeded mutations of the test templates: each is refused or renders within its bounds, and nothing
// crashes.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "engine/text/chat_template.h"
#include "gtest/gtest.h"

namespace baton {
namespace {

constexpr int kRounds = 20000;

std::vector<std::string> Templates() {
  std::vector<std::string> out;
  for (const auto& entry :
       std::filesystem::directory_iterator(BATON_SOURCE_DIR "/tests/goldens/text/templates")) {
    std::ifstream in(entry.path(), std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return out;
}

TEST(ChatTemplateMutations, NeverCrash) {
  const std::vector<std::string> templates = Templates();
  ASSERT_GE(templates.size(), 6u);
  const std::string alphabet = "{}%#-+()[]|.,:'\"\\~=<>!*/ \nabif01\xC3\xFF";
  const ChatInput input = {{{"system", "S\xC3"}, {"user", "a b"}, {"assistant", ""}}, true, "<s>", "</s>"};
  std::mt19937 random(99);
  int rendered = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::string source = templates[random() % templates.size()];
    for (unsigned edits = 1 + random() % 4; edits > 0 && !source.empty(); --edits) {
      const size_t at = random() % source.size();
      const size_t length = std::min<size_t>(random() % 12, source.size() - at);
      switch (random() % 4) {
        case 0:
          source.erase(at, length);
          break;
        case 1:
          source[at] = alphabet[random() % alphabet.size()];
          break;
        case 2:
          source.insert(at, source.substr(random() % source.size(), 1 + random() % 30));
          break;
        default:
          source.insert(at, 1, alphabet[random() % alphabet.size()]);
      }
    }
    const auto parsed = ChatTemplate::Parse(source);
    if (!parsed.ok()) {
      EXPECT_NE(parsed.status().code(), absl::StatusCode::kInternal) << source;
      continue;
    }
    const auto text = (*parsed)->Render(input);
    if (text.ok()) ++rendered;
    EXPECT_NE(text.status().code(), absl::StatusCode::kInternal) << source;
  }
  EXPECT_GT(rendered, kRounds / 20);
}

}  // namespace
}  // namespace baton
