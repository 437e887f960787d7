// Against jinja2 as transformers sets it up (tests/scripts/text/chat_template_goldens.py): 200 conversations
// through the default model's own template and through the constructs of well-known families.

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "engine/formats/gguf.h"
#include "engine/text/chat_template.h"
#include "gtest/gtest.h"
#include "tests/unit/engine/text/string_source.h"

namespace baton {
namespace {

const std::string kGoldens = BATON_SOURCE_DIR "/tests/goldens/text/";
constexpr size_t kConversations = 200;

using Sections = std::map<std::string, std::vector<std::string>>;

std::vector<ChatInput> Conversations(const Sections& golden) {
  std::vector<ChatInput> conversations(kConversations);
  for (const std::string& line : golden.at("conversations")) {
    std::istringstream in(line);
    size_t index = 0;
    int generate = 0;
    ChatMessage message;
    in >> index >> generate >> message.role;
    in.ignore(1);
    std::getline(in, message.content);
    message.content = testing::Unescape(message.content);
    ChatInput& input = conversations.at(index);
    input.messages.push_back(message);
    input.add_generation_prompt = generate != 0;
    input.bos_token = "<s>";
    input.eos_token = "</s>";
  }
  return conversations;
}

void ExpectRendersAsRecorded(const std::string& source, const std::string& section) {
  const Sections golden = testing::ReadSections(kGoldens + "chat_templates.txt");
  const auto parsed = ChatTemplate::Parse(source);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const std::vector<ChatInput> conversations = Conversations(golden);
  const std::vector<std::string>& lines = golden.at(section);
  ASSERT_EQ(lines.size(), kConversations);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string expected = lines[i].substr(lines[i].find(' ') + 1);
    const std::string text = testing::Unescape(expected.substr(std::min<size_t>(2, expected.size())));
    const auto rendered = (*parsed)->Render(conversations[i]);
    if (expected[0] == '!') {
      ASSERT_EQ(rendered.status().code(), absl::StatusCode::kInvalidArgument) << section << " " << i;
      if (!text.empty()) {
        ASSERT_EQ(std::string(rendered.status().message()), text);
      }
      continue;
    }
    ASSERT_TRUE(rendered.ok()) << section << " " << i << ": " << rendered.status();
    if (expected[0] == '=') {
      ASSERT_EQ(*rendered, text) << section << " " << i;
    } else {
      ASSERT_EQ(testing::Hex(testing::Fnv1a(*rendered)), text) << section << " " << i << ":\n" << *rendered;
    }
  }
}

class ChatTemplateGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(ChatTemplateGolden, RendersAsJinja2) {
  std::ifstream in(kGoldens + "templates/" + GetParam() + ".jinja", std::ios::binary);
  ASSERT_TRUE(in);
  ExpectRendersAsRecorded(std::string(std::istreambuf_iterator<char>(in), {}), GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, ChatTemplateGolden,
                         ::testing::Values("chatml", "constructs", "deepseek", "gemma", "llama3", "mistral",
                                           "qwen3", "zephyr"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ChatTemplateOfTheModel, RendersAsJinja2) {
  const char* path = std::getenv("BATON_TEST_MODEL");
  if (path == nullptr) GTEST_SKIP() << "BATON_TEST_MODEL is not set";
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto source = (*file)->GetString("tokenizer.chat_template");
  ASSERT_TRUE(source.ok()) << source.status();
  ExpectRendersAsRecorded(std::string(*source), "model");
}

}  // namespace
}  // namespace baton
