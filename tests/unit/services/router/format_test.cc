#include "services/router/openai/format.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace baton::router {
namespace {

namespace json = boost::json;

const TokenScore kScore{
    .chosen = {"\xE2\x82", -0.25f}, .top = {{"a", -0.25f}, {"b", -2.0f}}, .text_offset = 4};

AnswerFormat Format(ApiKind kind, bool logprobs, bool usage) {
  AnswerFormat format(kind, "id-1", 1234, "m\"odel", logprobs, usage);
  format.set_fingerprint("fp");
  return format;
}

json::value EventJson(const std::string& event) {
  EXPECT_EQ(event.substr(0, 6), "data: ");
  EXPECT_EQ(event.substr(event.size() - 2), "\n\n");
  return json::parse(event.substr(6));
}

TEST(AnswerFormat, WholeChat) {
  const json::value whole =
      json::parse(Format(ApiKind::kChat, true, false)
                      .Whole({{.text = "hi", .scores = {kScore}, .finish_reason = "stop"},
                              {.text = "ho", .finish_reason = "length"}},
                             {.prompt_tokens = 5, .completion_tokens = 2, .cached_tokens = 4}));
  EXPECT_EQ(whole.at("object"), "chat.completion");
  EXPECT_EQ(whole.at("model"), "m\"odel");
  EXPECT_EQ(whole.at("system_fingerprint"), "fp");
  EXPECT_EQ(whole.at("choices").at(0).at("message").at("content"), "hi");
  EXPECT_EQ(whole.at("choices").at(1).at("index"), 1);
  EXPECT_EQ(whole.at("choices").at(1).at("finish_reason"), "length");
  const json::value& token = whole.at("choices").at(0).at("logprobs").at("content").at(0);
  EXPECT_EQ(token.at("token"), "\xEF\xBF\xBD");
  EXPECT_EQ(token.at("bytes").as_array().size(), 2u);
  EXPECT_EQ(token.at("top_logprobs").at(1).at("token"), "b");
  EXPECT_EQ(whole.at("usage").at("total_tokens"), 7);
  EXPECT_EQ(whole.at("usage").at("prompt_tokens_details").at("cached_tokens"), 4);
}

TEST(AnswerFormat, WholeCompletion) {
  const json::value whole =
      json::parse(Format(ApiKind::kCompletion, true, false)
                      .Whole({{.text = "hi", .scores = {kScore}, .finish_reason = "stop"}}, {}));
  EXPECT_EQ(whole.at("object"), "text_completion");
  EXPECT_EQ(whole.at("choices").at(0).at("text"), "hi");
  const json::value& logprobs = whole.at("choices").at(0).at("logprobs");
  EXPECT_EQ(logprobs.at("text_offset").at(0), 4);
  EXPECT_EQ(logprobs.at("top_logprobs").at(0).at("b"), -2);
  EXPECT_EQ(logprobs.at("token_logprobs").at(0), -0.25);
}

TEST(AnswerFormat, ChatEvents) {
  const AnswerFormat format = Format(ApiKind::kChat, false, true);
  const json::value role = EventJson(format.RoleEvent(2));
  EXPECT_EQ(role.at("choices").at(0).at("delta").at("role"), "assistant");
  EXPECT_EQ(role.at("choices").at(0).at("index"), 2);
  EXPECT_TRUE(role.at("usage").is_null());
  const json::value text = EventJson(format.TextEvent(0, "x\n", {}, ""));
  EXPECT_EQ(text.at("object"), "chat.completion.chunk");
  EXPECT_EQ(text.at("choices").at(0).at("delta").at("content"), "x\n");
  EXPECT_TRUE(text.at("choices").at(0).at("finish_reason").is_null());
  const json::value last = EventJson(format.TextEvent(0, "", {}, "stop"));
  EXPECT_TRUE(last.at("choices").at(0).at("delta").as_object().empty());
  EXPECT_EQ(last.at("choices").at(0).at("finish_reason"), "stop");
  const json::value usage = EventJson(format.UsageEvent({.prompt_tokens = 3}));
  EXPECT_TRUE(usage.at("choices").as_array().empty());
  EXPECT_EQ(usage.at("usage").at("prompt_tokens"), 3);
}

TEST(AnswerFormat, CompletionEventsWithoutUsage) {
  const json::value event =
      EventJson(Format(ApiKind::kCompletion, true, false).TextEvent(1, "t", {&kScore, 1}, "length"));
  EXPECT_EQ(event.at("choices").at(0).at("text"), "t");
  EXPECT_EQ(event.at("choices").at(0).at("logprobs").at("tokens").as_array().size(), 1u);
  EXPECT_FALSE(event.as_object().contains("usage"));
}

}  // namespace
}  // namespace baton::router
