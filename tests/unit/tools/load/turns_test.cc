// What a later turn of a session shares with the one before, by token ids as the router makes them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/formats/gguf.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"
#include "services/router/openai/parse.h"
#include "tools/load/request_body.h"

namespace baton::load {
namespace {

class TurnsTest : public ::testing::Test {
 protected:
  TurnsTest()
      : file_(*GgufFile::Open(BATON_SOURCE_DIR "/tests/goldens/model/tiny-llama.gguf")),
        tokenizer_(*Tokenizer::FromGguf(*file_)),
        template_(*ChatTemplate::Parse(*file_->GetString("tokenizer.chat_template"))) {
    request_.max_tokens = 4;
    request_.prompt.system = {{1, 40}};
    request_.prompt.user = {{2, 30}};
  }
  // Of the request's body.
  std::vector<TokenId> Ids(const Conversation& conversation, const RequestStyle& style) const {
    const bool chat = style.api == Api::kChat;
    const std::string body = RequestBody(request_, conversation, style);
    router::ApiRequest parsed;
    const auto error = router::ParseRequest(chat ? router::ApiKind::kChat : router::ApiKind::kCompletion,
                                            body, router::ParseLimits(), parsed);
    EXPECT_FALSE(error.has_value()) << body;
    if (!chat) {
      if (const auto* ids = std::get_if<std::vector<TokenId>>(&parsed.prompts.at(0))) return *ids;
      return tokenizer_->Encode(std::get<std::string>(parsed.prompts.at(0)), true);
    }
    const auto text = template_->Render({.messages = parsed.messages});
    EXPECT_TRUE(text.ok()) << text.status();
    return tokenizer_->Encode(*text, true);
  }
  // How many ids two prompts begin with alike.
  static size_t Shared(const std::vector<TokenId>& a, const std::vector<TokenId>& b) {
    return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  }
  // The next turn, as the client makes it of an answer.
  Conversation Next(Conversation conversation, const std::vector<TokenId>& answer,
                    const RequestStyle& style) {
    conversation.messages.push_back({"assistant", tokenizer_->Decode(answer, false)});
    conversation.ids.insert(conversation.ids.end(), answer.begin(), answer.end());
    request_.prompt.system.clear();
    request_.prompt.user = {{3, 20}};
    return WithPrompt(std::move(conversation), request_, style);
  }

  const std::unique_ptr<GgufFile> file_;
  const std::unique_ptr<Tokenizer> tokenizer_;
  const std::unique_ptr<ChatTemplate> template_;
  PlannedRequest request_;
};

TEST_F(TurnsTest, PromptsOfTokenIdsGoOnWithExactlyWhatWasGenerated) {
  RequestStyle style;
  style.api = Api::kCompletions;
  style.vocab = tokenizer_->vocab_size();
  const Conversation first = WithPrompt({}, request_, style);
  const std::vector<TokenId> before = Ids(first, style), answer = {300, 5, 300, 299};
  const std::vector<TokenId> after = Ids(Next(first, answer, style), style);
  ASSERT_EQ(before.size(), 70u);
  ASSERT_EQ(after.size(), 70 + 4 + 20u);
  EXPECT_EQ(Shared(before, after), before.size());
  EXPECT_TRUE(std::equal(answer.begin(), answer.end(), after.begin() + 70));
}

TEST_F(TurnsTest, AChatGoesOnWithTheWholePromptBeforeIt) {
  const RequestStyle style;
  const Conversation first = WithPrompt({}, request_, style);
  const std::vector<TokenId> before = Ids(first, style);
  const std::vector<TokenId> answer = tokenizer_->Encode(" the worker takes the token", false);
  const std::vector<TokenId> after = Ids(Next(first, answer, style), style);
  ASSERT_EQ(Shared(before, after), before.size()) << "the generation prompt included";
  EXPECT_TRUE(std::equal(answer.begin(), answer.end(), after.begin() + before.size()));
}

// The tokenizer has other ids for a text that the model wrote piece by piece: from there on, nothing is
// shared.
TEST_F(TurnsTest, AnAnswerThatATokenizerWouldWriteOtherwiseIsNotShared) {
  for (const Api api : {Api::kChat, Api::kCompletions}) {
    RequestStyle style;
    style.api = api;
    const Conversation first = WithPrompt({}, request_, style);
    const std::vector<TokenId> before = Ids(first, style);
    std::vector<TokenId> answer;
    for (const char letter : std::string(" the"))
      answer.push_back(tokenizer_->Encode(std::string(1, letter), false).at(0));
    const std::vector<TokenId> after = Ids(Next(first, answer, style), style);
    ASSERT_EQ(Shared(before, after), before.size());
    EXPECT_FALSE(std::equal(answer.begin(), answer.end(), after.begin() + before.size()));
  }
}

}  // namespace
}  // namespace baton::load
